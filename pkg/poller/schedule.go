package poller

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	defaultCheckInterval     = 3 * time.Second
	defaultUnhealthyLimit    = 3
	defaultUnhealthyInterval = time.Hour

	maxBackoff = 30 * time.Second
	// quickAnswer is how fast an answer comes that nobody held.
	quickAnswer = time.Second
	// mostQuick is how many quick answers without a job may come in a row before
	// the poller pauses whatever they say. Two in a row are usual on a busy
	// GitLab: nothing for us, and a hold that ends in the same moment. A server
	// that answers everything at once must not be asked in a loop.
	mostQuick = 5
)

// An outcome is how one request for a job went.
type outcome struct {
	sent  string // last_update as sent
	offer job.Offer
	err   error
	took  time.Duration
	held  bool // GitLab has held the request
}

// A refusal is an error that carries GitLab's answer. An error that is none
// means that there was no answer.
type refusal interface {
	error
	HTTPStatus() int
	RetryDelay() time.Duration
}

// status returns the HTTP status of a refusal, 0 for other outcomes.
func (o outcome) status() int {
	var r refusal
	if errors.As(o.err, &r) {
		return r.HTTPStatus()
	}
	return 0
}

func (o outcome) hasJob() bool {
	var damaged *job.DamagedError
	return o.offer.Job != nil || errors.As(o.err, &damaged)
}

// A schedule decides when the next request is due and how many may be open.
// It is a pure state machine: the poller feeds it outcomes.
type schedule struct {
	s         Settings
	adaptive  float64 // allowed requests, before rounding up
	failures  int     // in a row
	unhealthy int     // in a row
	quick     int     // quick answers without a job in a row
}

func newSchedule(s Settings) *schedule {
	s.setDefaults()
	return &schedule{s: s, adaptive: 1}
}

// limit returns how many requests may be open.
func (c *schedule) limit() int { return int(math.Ceil(c.adaptive)) }

// next learns from an outcome and returns how long to wait before the next
// request.
func (c *schedule) next(o outcome) time.Duration {
	c.adapt(o)
	if o.hasJob() || o.took >= quickAnswer {
		c.quick = 0
	} else {
		c.quick++
	}
	return c.wait(o)
}

func (c *schedule) wait(o outcome) time.Duration {
	status := o.status()
	if status == http.StatusForbidden {
		c.unhealthy++
		c.failures = 0
		if c.unhealthy >= c.s.UnhealthyLimit {
			return c.s.UnhealthyInterval
		}
		return c.s.CheckInterval
	}
	c.unhealthy = 0
	switch {
	case o.hasJob():
		c.failures = 0
		if c.s.Strict {
			return c.s.CheckInterval
		}
		return 0
	case status == http.StatusConflict:
		c.failures = 0 // GitLab is well; another runner was faster
		return c.s.CheckInterval
	case o.err != nil:
		c.failures++
		return max(c.backoff(), told(o.err))
	}
	c.failures = 0
	// GitLab holds a request until something changes or the time is over; then
	// it has still not looked for a job. A value that is new to us says that
	// there may be one, too.
	changed := o.offer.LastUpdate != "" && o.offer.LastUpdate != o.sent
	if (o.held || changed) && c.quick < mostQuick {
		return 0
	}
	return c.s.CheckInterval
}

// backoff returns a random time between the check interval and a ceiling that
// doubles to 30 s, so that a fleet does not come back at the same moment.
func (c *schedule) backoff() time.Duration {
	base := c.s.CheckInterval
	top := max(base, maxBackoff)
	ceiling := top
	if shift := c.failures; shift < 16 && base<<shift < top {
		ceiling = base << shift
	}
	return base + rand.N(ceiling-base+1)
}

func told(err error) time.Duration {
	var r refusal
	if errors.As(err, &r) {
		return r.RetryDelay()
	}
	return 0
}

// adapt follows GitLab Runner's adaptive request concurrency: more requests
// while there are jobs, fewer while there are none, half when GitLab suffers.
func (c *schedule) adapt(o outcome) {
	switch status := o.status(); {
	case o.hasJob():
		c.adaptive *= 1.1
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500:
		c.adaptive *= 0.5
	default:
		c.adaptive *= 0.95
	}
	c.adaptive = min(max(c.adaptive, 1), float64(c.s.RequestConcurrency))
}
