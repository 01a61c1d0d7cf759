package lifecycle

import (
	"bytes"
	"regexp"
	"strconv"
	"time"

	"github.com/runnerd/runnerd/pkg/joblog"
)

// endPrepareAt ends the section of the preparations in front of the pod's first
// bytes, which b begins with, and returns the bytes that do it. They carry the time
// that the pod's have, so that another process that reads the same makes the same
// of it, and they need not be recorded. Where the pod's bytes have no time, the
// daemon's does, and is.
func (l *ownLines) endPrepareAt(b []byte) []byte {
	if !l.stopPreparing() || !l.options.Sections {
		return nil
	}
	at, ok := timeOf(b, l.options.Timestamps)
	if !ok {
		l.prepared()
		return nil
	}
	var out bytes.Buffer
	w := joblog.New(&out, joblog.Options{LogOptions: l.options, Now: func() time.Time { return at }})
	w.EndSection(preparePhase)
	_ = w.EndOutput() // memory takes everything
	return out.Bytes()
}

var sectionTime = regexp.MustCompile(`section_(?:start|end):([0-9]{1,12}):`)

// timeOf returns the time that a log's entry, or its first section, carries.
func timeOf(b []byte, stamps bool) (time.Time, bool) {
	if stamps {
		first, _, _ := bytes.Cut(b, []byte(" "))
		at, err := time.Parse(time.RFC3339Nano, string(first))
		return at, err == nil
	}
	m := sectionTime.FindSubmatch(b)
	if m == nil {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(string(m[1]), 10, 64)
	return time.Unix(seconds, 0), err == nil
}
