package poller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

type answer struct {
	status int
	wait   time.Duration
}

func (a answer) Error() string             { return fmt.Sprint(a.status) }
func (a answer) HTTPStatus() int           { return a.status }
func (a answer) RetryDelay() time.Duration { return a.wait }

const interval = 3 * time.Second

func TestNext(t *testing.T) {
	a := job.Offer{Job: &job.Job{}}
	held := outcome{sent: "x", held: true, took: 20 * time.Second}
	quickHeld := outcome{sent: "x", held: true, took: 10 * time.Millisecond}
	changed := outcome{sent: "x", offer: job.Offer{LastUpdate: "y"}, took: 10 * time.Millisecond}
	same := outcome{sent: "x", offer: job.Offer{LastUpdate: "x"}, took: 10 * time.Millisecond}
	refuse := outcome{err: answer{status: 403}}
	tests := []struct {
		name     string
		settings Settings
		outcomes []outcome
		want     []time.Duration
	}{
		{name: "a job", outcomes: []outcome{{offer: a}}, want: []time.Duration{0}},
		{name: "a job, strictly", settings: Settings{Strict: true}, outcomes: []outcome{{offer: a}}, want: []time.Duration{interval}},
		{name: "held", outcomes: []outcome{held, held, held, held}, want: []time.Duration{0, 0, 0, 0}},
		{name: "changed, then nothing", outcomes: []outcome{held, changed, same}, want: []time.Duration{0, 0, interval}},
		{name: "an odd server makes no hot loop", outcomes: []outcome{quickHeld, changed, quickHeld, changed, quickHeld, changed, quickHeld, held, changed}, want: []time.Duration{0, 0, 0, 0, interval, interval, interval, 0, 0}},
		{name: "lost a race", outcomes: []outcome{{err: answer{status: 409}}}, want: []time.Duration{interval}},
		{name: "three refusals", outcomes: []outcome{refuse, refuse, refuse}, want: []time.Duration{interval, interval, time.Hour}},
		{name: "well again in between", outcomes: []outcome{refuse, refuse, same, refuse}, want: []time.Duration{interval, interval, interval, interval}},
		{name: "an outage does not make ill", outcomes: []outcome{refuse, refuse, {err: answer{status: 409}}, refuse}, want: []time.Duration{interval, interval, interval, interval}},
		{name: "told to wait", outcomes: []outcome{{err: answer{status: 429, wait: time.Minute}}}, want: []time.Duration{time.Minute}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newSchedule(tt.settings)
			for i, o := range tt.outcomes {
				if got := c.next(o); got != tt.want[i] {
					t.Errorf("outcome %d: wait %s, want %s", i, got, tt.want[i])
				}
			}
		})
	}
}

func TestOutageBacksOffToHalfAMinute(t *testing.T) {
	for _, err := range []error{errors.New("connection refused"), answer{status: 502}, answer{status: 422}} {
		c := newSchedule(Settings{})
		var longest time.Duration
		for i := range 200 {
			got := c.next(outcome{err: err})
			if got < interval || got > maxBackoff || (i == 0 && got > 2*interval) {
				t.Fatalf("%v: failure %d: wait %s", err, i, got)
			}
			longest = max(longest, got)
		}
		if longest < 20*time.Second {
			t.Errorf("%v: longest wait of 200 is %s", err, longest)
		}
	}
}

func TestAdaptiveLimit(t *testing.T) {
	c := newSchedule(Settings{RequestConcurrency: 4})
	steps := []struct {
		o    outcome
		want int
	}{
		{outcome{offer: job.Offer{Job: &job.Job{}}}, 2}, // 1.1
		{outcome{}, 2}, // 1.045
		{outcome{}, 1},
	}
	for i, s := range steps {
		if c.next(s.o); c.limit() != s.want {
			t.Errorf("step %d: limit %d (%.3f), want %d", i, c.limit(), c.adaptive, s.want)
		}
	}
	for range 100 {
		c.next(outcome{offer: job.Offer{Job: &job.Job{}}})
	}
	if c.limit() != 4 {
		t.Errorf("limit %d after 100 jobs, want request_concurrency 4", c.limit())
	}
	if c.next(outcome{err: answer{status: 503}}); c.limit() != 2 {
		t.Errorf("limit %d after a 503, want 2", c.limit())
	}
}
