package standin

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

var contentRange = regexp.MustCompile(`^(\d+)-(\d+)$`)

// maxPatch is the most that one PATCH may carry.
const maxPatch = 1 << 20

// patchTrace answers PATCH /jobs/:id/trace.
func (s *Server) patchTrace(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := c.Header.Get("JOB-TOKEN")
	if token == "" {
		token = c.URL.Query().Get("token")
	}
	j, a, ok := s.authorizeJob(c, token)
	if !ok {
		return a
	}
	if j.awaiting {
		s.violate(c, "14.13", "PATCH before the job was acknowledged with PUT running")
		return j.with(refuse(http.StatusForbidden, "Forbidden - Job is not running"))
	}
	if !j.acknowledged() && !j.told.restarted {
		s.violate(c, "14.13", "the first update after the hand-out is a PATCH, want PUT running")
	}
	j.startSilenceTimer()
	first, ok := s.checkRange(c)
	if !ok {
		return j.with(*badRequest("invalid Content-Range"))
	}
	if first == 0 {
		s.checkDebug(c, j)
	}
	s.checkInterval(c, j)
	return s.appendLog(c, j, first)
}

// checkRange reads Content-Range (14.22). GitLab does not look at its second
// number.
func (s *Server) checkRange(c *call) (first int64, ok bool) {
	header := c.Header.Get("Content-Range")
	m := contentRange.FindStringSubmatch(header)
	if m == nil {
		s.violate(c, "14.22", "Content-Range is %q, want <first>-<last>", header)
		return 0, false
	}
	first, err := strconv.ParseInt(m[1], 10, 64)
	last, err2 := strconv.ParseInt(m[2], 10, 64)
	size := int64(len(c.body))
	switch {
	case err != nil || err2 != nil:
		s.violate(c, "14.22", "Content-Range is %q: number out of range", header)
		return 0, false
	case size == 0:
		s.violate(c, "14.22", "body is empty; there was no need for the PATCH")
	case last-first+1 != size:
		s.violate(c, "14.22", "Content-Range is %q, the body has %d bytes", header, size)
	}
	if size > maxPatch {
		s.violate(c, "14.24", "body of %d bytes, at most %d are allowed", size, maxPatch)
	}
	return first, true
}

// checkDebug checks debug_trace, which the server honours at offset 0 only
// (14.27).
func (s *Server) checkDebug(c *call, j *Job) {
	got := c.URL.Query().Get("debug_trace") == "true"
	if want := j.facts.debug(); got != want {
		s.violate(c, "14.27", "debug_trace is %t at offset 0, want %t", got, want)
	}
}

// checkInterval checks the pause between PATCHes (14.26). At the end of a job
// they may follow one another at once, and only what comes later tells that
// the end has begun; until then a breach is kept in j.early. One pause is not
// enough to tell that it has not: a busy machine makes one, too.
func (s *Server) checkInterval(c *call, j *Job) {
	if j.told.patched.IsZero() || j.told.another(c) {
		return // the first one, or a retry
	}
	want := min(j.told.interval, j.told.patchInterval)
	gap := c.start.Sub(j.told.patched)
	if gap >= want-s.opts.Tolerance {
		if j.pauses++; j.pauses > 1 {
			j.confirmEarly()
		}
		return
	}
	j.pauses = 0
	j.early = append(j.early, Violation{
		Time: c.start, Point: "14.26", Job: j.id, Request: c.Method + " " + c.URL.RequestURI(),
		Text: fmt.Sprintf("PATCH %s after the last one, the interval is %s", gap.Round(time.Millisecond), want),
	})
}

// confirmEarly records the early PATCHes: the job went on after them.
func (j *Job) confirmEarly() {
	for _, v := range j.early {
		j.server.violations.add(v)
	}
	j.early = nil
}

func (s *Server) appendLog(c *call, j *Job, first int64) answer {
	length := int64(len(j.log))
	if first != length {
		return s.wrongOffset(c, j, first, length)
	}
	if limit := s.opts.LogLimit; limit > 0 && length+int64(len(c.body)) > limit { // 14.29
		j.finish(Failed, "trace_size_exceeded", 0, fmt.Sprintf("log grew beyond %d bytes", limit))
		return j.with(refuse(http.StatusForbidden, "Forbidden - Job trace size limit exceeded"))
	}
	if length == 0 && len(c.body) > 0 {
		j.event(EventFirstByte, 0, "")
	}
	j.append(c.body)
	length = int64(len(j.log))
	j.event(EventPatch, length, "")
	return j.with(plain(http.StatusAccepted)).with("Range", fmt.Sprintf("0-%d", length))
}

// wrongOffset answers a PATCH that does not begin where the log ends (14.23).
func (s *Server) wrongOffset(c *call, j *Job, first, length int64) answer {
	if !j.told.unsure && !j.told.restarted && !j.told.another(c) {
		s.violate(c, "14.23", "PATCH at offset %d, the client was told %d", first, length)
	}
	if first < length {
		again := c.body[:min(int64(len(c.body)), length-first)]
		if !bytes.Equal(again, j.log[first:first+int64(len(again))]) {
			s.violate(c, "14.23", "bytes from offset %d are sent again and are not the same", first)
		}
	}
	j.event(EventPatch, length, strconv.Itoa(http.StatusRequestedRangeNotSatisfiable))
	return j.with(plain(http.StatusRequestedRangeNotSatisfiable)).with("Range", fmt.Sprintf("0-%d", length))
}
