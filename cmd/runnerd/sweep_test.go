package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

func list(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"kind":%q,"apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}`, kind)
}

// TestSweepOnce: leftovers of an earlier process are removed when an entry
// starts, and not again when a reload replaces it: the pods that are there then
// belong to jobs that still run.
func TestSweepOnce(t *testing.T) {
	t.Parallel()
	var sweeps atomic.Int32
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/leases"):
			http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`, http.StatusForbidden)
		case strings.HasSuffix(r.URL.Path, "/secrets"): // a sweep lists them, and so does who looks for records
			if !strings.Contains(r.URL.Query().Get("labelSelector"), "record") {
				sweeps.Add(1)
			}
			list(w, "SecretList")
		case r.URL.Query().Get("watch") == "":
			list(w, "PodList")
		default:
			<-r.Context().Done() // a watch without events
		}
	}))
	t.Cleanup(cluster.Close)
	heard := newLogText()
	s := newSite(t, standin.Options{Logf: func(format string, args ...any) { fmt.Fprintf(heard, format+"\n", args...) }}, standin.RunnerSpec{})
	text := func(limit int) string {
		return fmt.Sprintf("check_interval = 1\n[[runners]]\nurl = %q\ntoken = %q\nexecutor = \"kubernetes\"\nlimit = %d\n[runners.kubernetes]\nhost = %q\nnamespace = \"ci\"\n",
			s.gitlab.URL(), s.runner.Token(), limit, cluster.URL)
	}
	d := s.start(text(1))
	// An entry verifies its token behind its sweep.
	verified := func(n int) {
		t.Helper()
		if !heard.until(s.ctx, "/runners/verify -> 200", n) {
			t.Fatalf("entry %d is not verified", n)
		}
	}
	verified(1)
	d.reload(text(2), "configuration reloaded")
	verified(2)
	if got := sweeps.Load(); got != 1 {
		t.Errorf("%d sweeps, want 1", got)
	}
}
