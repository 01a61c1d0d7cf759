package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestBacklog: a runner's sources are summed up, and gone when they are stopped.
func TestBacklog(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	b := NewBacklog(reg)
	r := Runner{ShortToken: "abc", Name: "one", SystemID: "s_1"}
	stopOld := b.Watch(r, func() Unconfirmed { return Unconfirmed{Results: 1, Oldest: time.Now().Add(time.Hour), Memory: 3} })
	stop := b.Watch(r, func() Unconfirmed { return Unconfirmed{Memory: 4, Disk: 5} })
	want := `
# HELP runnerd_unconfirmed_log_bytes Bytes of job logs that are kept until GitLab has confirmed them, in memory and in temporary files.
# TYPE runnerd_unconfirmed_log_bytes gauge
runnerd_unconfirmed_log_bytes{runner="abc",runner_name="one",system_id="s_1",where="disk"} 5
runnerd_unconfirmed_log_bytes{runner="abc",runner_name="one",system_id="s_1",where="memory"} 7
# HELP runnerd_undelivered_results Jobs that have ended and whose result GitLab has not confirmed yet.
# TYPE runnerd_undelivered_results gauge
runnerd_undelivered_results{runner="abc",runner_name="one",system_id="s_1"} 1
# HELP runnerd_undelivered_results_oldest_seconds Time since the end of the job whose result waits longest for GitLab; 0 when none does.
# TYPE runnerd_undelivered_results_oldest_seconds gauge
runnerd_undelivered_results_oldest_seconds{runner="abc",runner_name="one",system_id="s_1"} 0
`
	if got := exposed(t, reg); got != want[1:] {
		t.Errorf("got\n%s\nwant\n%s", got, want[1:])
	}
	if problems, err := promlint.New(strings.NewReader(want)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	stopOld()
	stop()
	if got := exposed(t, reg); got != "" {
		t.Errorf("left over:\n%s", got)
	}
}

// exposed is what a scrape of reg gets.
func exposed(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}
