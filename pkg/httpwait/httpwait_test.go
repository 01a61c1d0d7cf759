package httpwait_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/httpwait"
)

func TestTold(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name, reset, after string
		want               time.Duration
	}{
		{name: "nothing"},
		{name: "seconds", after: "7", want: 7 * time.Second},
		{name: "a date", after: now.Add(9 * time.Second).Format(http.TimeFormat), want: 9 * time.Second},
		{name: "the reset comes first", reset: now.Add(3 * time.Second).Format(time.RFC1123), after: "7", want: 3 * time.Second},
		{name: "a reset in the past", reset: now.Add(-time.Second).Format(time.RFC1123), after: "7", want: 7 * time.Second},
		{name: "nonsense", after: "soon"},
		{name: "a mistake", after: "99999999999", want: time.Hour},
	} {
		h := http.Header{}
		h.Set("RateLimit-ResetTime", tt.reset)
		h.Set("Retry-After", tt.after)
		if got := httpwait.Told(h, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBackoffGrowsAndEnds(t *testing.T) {
	for attempt, most := range map[int]time.Duration{1: 100 * time.Millisecond, 4: 800 * time.Millisecond, 1000: time.Minute} {
		if got := httpwait.Backoff(attempt); got < most/2 || got > most {
			t.Errorf("behind attempt %d: %v, want %v to %v", attempt, got, most/2, most)
		}
	}
}

func TestRetryable(t *testing.T) {
	for status, want := range map[int]bool{201: false, 400: false, 403: false, 408: true, 413: false, 429: true, 500: true, 501: false, 503: true, 507: false, 521: true} {
		if httpwait.Retryable(status) != want {
			t.Errorf("%d: %t, want %t", status, !want, want)
		}
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	if err := httpwait.Sleep(ctx, time.Hour); !errors.Is(err, why) {
		t.Errorf("%v, want the cause", err)
	}
}
