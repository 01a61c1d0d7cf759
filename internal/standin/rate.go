package standin

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// rates counts requests per minute and token (14.39).
type rates struct {
	mu      sync.Mutex
	windows map[string]*window
}

type window struct {
	start time.Time
	count int
}

// exceeded counts one request and returns how long to wait when it is one too
// many for the current minute.
func (r *rates) exceeded(key string, limit int, now time.Time) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.windows == nil {
		r.windows = map[string]*window{}
	}
	w := r.windows[key]
	if w == nil || now.Sub(w.start) >= time.Minute {
		w = &window{start: now}
		r.windows[key] = w
	}
	w.count++
	return w.start.Add(time.Minute).Sub(now), w.count > limit
}

// rateLimit answers 429 when the request is beyond its limit. PATCH has its
// own count per job token; PUT and artifacts share one.
func (s *Server) rateLimit(c *call) (answer, bool) {
	var key string
	limit := s.opts.JobRate
	switch c.endpoint {
	case RequestJob:
		if c.request == nil {
			return answer{}, false
		}
		key, limit = "runner "+c.request.Token, s.opts.RunnerRate
	case PatchTrace:
		key = "trace " + c.Header.Get("JOB-TOKEN")
	case UpdateJob, UploadArtifact, DownloadArtifact:
		key = "job " + c.Header.Get("JOB-TOKEN")
	default:
		return answer{}, false
	}
	if limit < 0 {
		return answer{}, false
	}
	wait, over := s.rates.exceeded(key, limit, c.start)
	if !over {
		return answer{}, false
	}
	seconds := int((wait + time.Second - 1) / time.Second)
	return refuse(http.StatusTooManyRequests, "Too Many Requests").with("Retry-After", strconv.Itoa(seconds)), true
}
