// Package httpwait says when an HTTP call to GitLab is repeated, and how long to
// wait before: the rules that hold for every call of its runner API.
package httpwait

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Attempts is how often a call is sent at most when GitLab cannot answer it.
const Attempts = 5

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = time.Minute
	// maxTold bounds what a server may ask for; beyond it is a mistake.
	maxTold = time.Hour
)

// Retryable reports whether an answer says that GitLab could not do what it was
// asked for, and perhaps can later.
func Retryable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return status >= 512
}

// Told returns how long the server asks to wait, 0 when it does not say.
func Told(h http.Header, now time.Time) time.Duration {
	if at, err := time.Parse(time.RFC1123, h.Get("RateLimit-ResetTime")); err == nil && at.After(now) {
		return min(at.Sub(now), maxTold)
	}
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return min(time.Duration(min(seconds, math.MaxInt32))*time.Second, maxTold)
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), maxTold)
	}
	return 0
}

// Backoff is the wait behind an attempt, counted from 1, where the server says
// nothing. It doubles from 100 ms; half of it is random, so that many clients do
// not come back at the same moment.
func Backoff(attempt int) time.Duration {
	full := min(minBackoff<<min(attempt-1, 16), maxBackoff)
	return full/2 + rand.N(full/2+1)
}

// Sleep waits for d, or returns the cause of ctx when that ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
