package cache

import (
	"context"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

// resume goes on with a job in another process. In tests nothing of the first one
// is closed before the test ends; a process that was killed closes nothing either.
func (r *run) resume(c *Cache) *run {
	s := c.Resume(r.w.t.Context(), r.job, r.plan)
	r.w.t.Cleanup(func() { s.Close(context.WithoutCancel(r.w.t.Context())) })
	return &run{Session: s, w: r.w, job: r.job, plan: r.plan}
}

// TestResume: whether the process before has published or not, a cache is there
// once, whole, and nothing of it is removed.
func TestResume(t *testing.T) {
	for _, published := range []bool{false, true} {
		w := newWorld(t)
		first := w.start(w.Cache, []string{"go-mod"})
		saved, segments := job.CacheSaved{Result: job.SaveFull, Raw: 100, Entries: 2}, first.send(0, "aaa", "bb")
		if published {
			first.report(0, saved, segments)
			first.Finish(t.Context())
		}
		next := first.resume(w.daemon())
		next.report(0, saved, segments)
		next.fine()
		if got := w.stored("go-mod"); got != "aaabb" {
			t.Errorf("published %t: stored %q", published, got)
		}

		changed := w.start(w.daemon(), []string{"go-mod"})
		part := job.CacheSaved{Result: job.SaveDelta, Base: changed.entry(0).Hit.Base.ID, Raw: 10, Entries: 1}
		segments = changed.send(0, "d1")
		if published {
			changed.report(0, part, segments)
			changed.Finish(t.Context())
		}
		next = changed.resume(w.daemon())
		next.report(0, part, segments)
		next.fine()
		if h := w.headOf("go-mod"); h.Delta == nil || h.Delta.ID != changed.entry(0).Upload.Layer || h.Job != changed.job.ID {
			t.Errorf("published %t: head %+v", published, h)
		}
	}
}

// TestResumeWithoutEvents: what the process before may have published is not
// removed when the pod's events cannot be read again.
func TestResumeWithoutEvents(t *testing.T) {
	w := newWorld(t)
	first := w.start(w.Cache, []string{"go-mod"})
	first.full(0, "aaa")
	first.Finish(t.Context())
	first.resume(w.daemon()).fine()
	if got := w.stored("go-mod"); got != "aaa" {
		t.Errorf("stored %q", got)
	}
}
