package standin

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Fault makes the server misbehave for some requests. A fault that sets
// neither Status, Reset, CutAfter nor Redirect lets the request be processed
// as usual and spoils only what its fields say.
type Fault struct {
	Endpoint Endpoint // AnyEndpoint: all of them
	Job      int64    // only requests of this job; 0: any
	State    string   // only PUTs with this state; empty: any
	Skip     int      // so many matching requests pass unharmed first
	Times    int      // so many requests are hit; default 1; < 0: all until Remove

	Status     int           // answered instead of processing the request
	RetryAfter time.Duration // header Retry-After of that answer, whole seconds
	ResetAfter time.Duration // header RateLimit-ResetTime of that answer: now plus this, rounded up to a second
	Header     http.Header   // more headers of the answer
	JobStatus  string        // header Job-Status of the answer, whatever the job's state
	Body       string        // body of that answer; default: {"message": …}
	Redirect   string        // 307 to this location

	Delay      time.Duration // before anything else
	Reset      bool          // the connection is reset, unprocessed
	CutAfter   int64         // the connection is reset after so many bytes of the body, unprocessed
	LoseAnswer bool          // processed, then the connection is cut without an answer
	Truncate   bool          // processed, then the connection is cut in the middle of the answer's body

	removed <-chan struct{}
}

// An Injected is a fault that has been injected.
type Injected struct {
	fault   Fault
	removed chan struct{}
	once    sync.Once

	mu   sync.Mutex
	skip int
	left int // < 0: no end
	hits int
}

// Hits returns how many requests the fault has hit.
func (i *Injected) Hits() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits
}

// Remove ends the fault, and cuts off the requests that it delays.
func (i *Injected) Remove() {
	i.once.Do(func() { close(i.removed) })
	i.mu.Lock()
	defer i.mu.Unlock()
	i.left = 0
}

// Inject adds a fault. When several match a request, the oldest hits it.
func (s *Server) Inject(f Fault) *Injected {
	i := &Injected{fault: f, skip: f.Skip, left: orDefault(f.Times, 1), removed: make(chan struct{})}
	i.fault.removed = i.removed
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, i)
	return i
}

type faults struct {
	mu   sync.Mutex
	list []*Injected
}

func (f *faults) take(c *call) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.DeleteFunc(f.list, (*Injected).over)
	for _, i := range f.list {
		if i.fault.matches(c) && i.hit() {
			return i.fault, true
		}
	}
	return Fault{}, false
}

func (i *Injected) over() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.left == 0
}

func (i *Injected) hit() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.left == 0:
		return false
	case i.skip > 0:
		i.skip--
		return false
	case i.left > 0:
		i.left--
	}
	i.hits++
	return true
}

func (f Fault) matches(c *call) bool {
	if f.Endpoint != AnyEndpoint && f.Endpoint != c.endpoint {
		return false
	}
	if f.Job != 0 && f.Job != c.jobID {
		return false
	}
	return f.State == "" || c.update != nil && c.update.State == f.State
}

// before does what the fault does ahead of the handler. It reports whether
// the request has been answered with that.
func (f Fault) before(c *call, closed <-chan struct{}) (answer, bool) {
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-f.removed:
			return answer{cut: true, reset: true}, true
		case <-c.Context().Done():
			return answer{cut: true}, true
		case <-closed:
			return answer{cut: true}, true
		}
	}
	if f.CutAfter > 0 {
		_, _ = io.CopyN(io.Discard, c.Body, f.CutAfter) // the connection ends either way
		return answer{cut: true, reset: true}, true
	}
	if f.Reset {
		return answer{cut: true, reset: true}, true
	}
	if f.Status == 0 && f.Redirect == "" {
		return answer{}, false
	}
	if c.endpoint.streams() {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.Body, maxBody)) // so that the client gets to read the answer
	}
	return f.after(f.answer()), true
}

func (f Fault) answer() answer {
	status := f.Status
	if f.Redirect != "" {
		status = orDefault(status, http.StatusTemporaryRedirect)
	}
	a := refuse(status, http.StatusText(status))
	if f.Body != "" {
		a.body = []byte(f.Body)
		a = a.with("Content-Type", "text/html")
	}
	if f.Redirect != "" {
		a = a.with("Location", f.Redirect)
	}
	if f.RetryAfter > 0 {
		a = a.with("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	if f.ResetAfter > 0 {
		at := time.Now().Add(f.ResetAfter + time.Second - 1).Truncate(time.Second)
		a = a.with("RateLimit-ResetTime", at.UTC().Format(http.TimeFormat))
	}
	return a
}

// after spoils an answer.
func (f Fault) after(a answer) answer {
	for k, v := range f.Header {
		for _, one := range v {
			a = a.with(k, one)
		}
	}
	if f.JobStatus != "" {
		a = a.with("Job-Status", f.JobStatus)
	}
	a.cut = a.cut || f.LoseAnswer
	a.half = f.Truncate
	return a
}
