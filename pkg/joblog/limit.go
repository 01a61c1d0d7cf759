package joblog

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxTail is the most of the log's end that is kept past the limit.
const maxTail = 64 << 10

// A limiter passes on the first bytes of a log, keeps the last ones, and
// writes them at the end.
type limiter struct {
	out     io.Writer
	notice  func(text string) []byte // formats a line about the limit
	entries bool                     // each Write carries whole entries
	max     int64                    // 0 means no limit

	left  int64 // of max
	over  bool  // the limit was reached; tail takes the rest
	ended bool

	tail    []byte // at least the last tailSize bytes past the limit
	dropped int64  // bytes past the limit that are no longer in tail
	err     error
}

func newLimiter(out io.Writer, maxBytes int64) *limiter {
	return &limiter{out: out, max: maxBytes, left: maxBytes}
}

// tailSize is how many bytes of the end are kept.
func (l *limiter) tailSize() int { return int(min(maxTail, l.max/4)) }

func (l *limiter) Write(p []byte) (int, error) {
	switch {
	case l.max <= 0 || l.ended:
		l.pass(p)
	case l.over:
		l.keep(p)
	case int64(len(p)) <= l.left:
		l.left -= int64(len(p))
		l.pass(p)
	default:
		n := l.cut(p)
		l.pass(p[:n])
		l.exceed(n > 0 && p[n-1] != '\n')
		l.keep(p[n:])
	}
	return len(p), l.err
}

func (l *limiter) pass(p []byte) {
	if l.err != nil || len(p) == 0 {
		return
	}
	_, l.err = l.out.Write(p)
}

// cut returns how much of p still fits: whole entries, or whole characters.
func (l *limiter) cut(p []byte) int {
	n := int(l.left)
	if l.entries {
		return bytes.LastIndexByte(p[:n], '\n') + 1
	}
	for n > 0 && !utf8.RuneStart(p[n]) {
		n--
	}
	return n
}

func (l *limiter) exceed(inLine bool) {
	l.over = true
	if inLine {
		l.pass([]byte("\n"))
	}
	l.pass(l.notice(fmt.Sprintf("Job's log exceeded limit of %d bytes.", l.max)))
	l.pass(l.notice("Job execution will continue; of what it prints from here on only the last part is kept, and shown at the end."))
}

// keep adds p to the tail and lets go of what is older than the tail's size,
// not at each write, so that a byte is copied once on average.
func (l *limiter) keep(p []byte) {
	size := l.tailSize()
	if extra := len(p) - size; extra > 0 {
		l.dropped += int64(len(l.tail) + extra)
		l.tail = append(l.tail[:0], p[extra:]...)
		return
	}
	l.tail = append(l.tail, p...)
	if len(l.tail) > 2*size {
		l.shrink()
	}
}

// forget drops what is kept of the end so far, and counts n bytes that were
// never written.
func (l *limiter) forget(n int64) {
	l.dropped += int64(len(l.tail)) + n
	l.tail = l.tail[:0]
}

func (l *limiter) shrink() {
	if extra := len(l.tail) - l.tailSize(); extra > 0 {
		l.dropped += int64(extra)
		l.tail = l.tail[:copy(l.tail, l.tail[extra:])]
	}
}

// end writes the tail, from the beginning of a line on, and lifts the limit.
func (l *limiter) end() {
	if l.ended {
		return
	}
	l.ended = true
	if !l.over {
		return
	}
	l.shrink()
	tail := l.tail
	if l.dropped > 0 {
		tail = wholeLines(tail)
		missing := l.dropped + int64(len(l.tail)-len(tail))
		l.pass(l.notice(fmt.Sprintf("%d bytes of the job's log are missing here; its last %d bytes follow.", missing, len(tail))))
	}
	if l.entries && len(tail) >= headerSize {
		tail[headerSize-1] = ' ' // what it continued is missing
	}
	l.pass(tail)
	if len(tail) > 0 && tail[len(tail)-1] != '\n' {
		l.pass([]byte("\n"))
	}
	l.tail = nil
}

// wholeLines returns tail without the line that it begins in; of a single line
// it returns the characters that are whole.
func wholeLines(tail []byte) []byte {
	if i := bytes.IndexByte(tail, '\n'); i >= 0 && i < len(tail)-1 {
		return tail[i+1:]
	}
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	return tail
}
