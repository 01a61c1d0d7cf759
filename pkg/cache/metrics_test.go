package cache

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	metrics := NewMetrics(reg)
	w := newWorld(t, func(c *Config) { c.Metrics, c.RunnerName = metrics, "builder" })

	r := w.start(w.Cache, []string{"k"})
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheMiss, Code: job.CodeMiss}})
	r.full(0, "12345")
	r.fine()
	r = w.start(w.Cache, []string{"k"})
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheHitPrimary, Bytes: 5}})
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheHitPrimary, Bytes: 5}}) // only the first counts
	r.Event(job.CacheEvent{Saved: &job.CacheSaved{Result: job.SaveUnchanged}})
	r.fine()
	r = w.start(w.Cache, []string{"k"})
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: "forged", Bytes: -5}})
	r.Event(job.CacheEvent{Saved: &job.CacheSaved{Result: "forged", Code: "forged"}})
	r.fine()
	r = w.start(w.Cache, []string{"k"})
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheBroken, Code: job.CodeNetwork}})
	r.Event(job.CacheEvent{Saved: &job.CacheSaved{Result: job.SaveFull}})
	r.end()
	w.save(w.Cache, "k", "678")
	w.after(w.Grace + day)

	text := exposed(t, reg)
	const labels = `runner="t0ken",runner_name="builder"}`
	var got []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "runnerd_cache_seconds_") {
			got = append(got, strings.TrimSpace(strings.Replace(line, labels, "}", 1)))
		}
	}
	want := []string{
		`runnerd_cache_bytes_total{direction="restored",} 5`,
		`runnerd_cache_bytes_total{direction="saved",} 8`,
		`runnerd_cache_failures_total{operation="publish",reason="internal",} 1`,
		`runnerd_cache_failures_total{operation="restore",reason="network",} 1`,
		`runnerd_cache_failures_total{operation="save",reason="internal",} 1`,
		`runnerd_cache_restores_total{result="broken",} 2`,
		`runnerd_cache_restores_total{result="hit",} 1`,
		`runnerd_cache_restores_total{result="miss",} 1`,
		`runnerd_cache_saves_total{result="failed",} 1`,
		`runnerd_cache_saves_total{result="full",} 2`,
		`runnerd_cache_saves_total{result="refused",} 1`,
		`runnerd_cache_saves_total{result="unchanged",} 1`,
		`runnerd_cache_swept_bytes_total{} 5`,
		`runnerd_cache_swept_objects_total{} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for _, operation := range []string{opLookup, opRestore, opSave, opPublish} {
		if !strings.Contains(text, `runnerd_cache_seconds_count{operation="`+operation+`",`+labels) {
			t.Errorf("no time of %s", operation)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
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
