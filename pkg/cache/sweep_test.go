package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// after sweeps as it would be done that much later.
func (w *world) after(d time.Duration) SweepResult {
	w.t.Helper()
	result, err := w.Sweep(w.t.Context(), SweepOptions{Now: time.Now().Add(d)})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	old := w.save(w.Cache, "k", "old1", "old2").entry(0).Upload.Layer
	now := w.save(w.Cache, "k", "now").entry(0).Upload.Layer
	d := w.start(w.Cache, []string{"k"})
	d.delta(0, "d")
	d.fine()
	running := w.start(w.Cache, []string{"k"})
	running.send(0, "not published yet")
	upload := running.entry(0).Upload.Layer
	w.write("ci/runner/t0ken/v1/7/s/notes.txt", "not ours")
	w.write("ci/runner/0ther/v1/7/s/x/head", "another runner's")
	w.write(string(w.shared("k"))+"o/notes.txt", "not ours")

	if r := w.after(0); r.Objects != 0 || r.Keys != 1 {
		t.Errorf("at once: %+v", r)
	}
	if r := w.after(w.Grace + time.Minute); r.Objects != 2 || r.Bytes != 8 || w.has("k", old) {
		t.Errorf("after the time of grace: %+v", r)
	}
	if !w.has("k", upload) {
		t.Fatal("an upload that is not published yet is gone")
	}
	if r := w.after(9 * day); r.Objects != 1 || w.has("k", upload) {
		t.Errorf("after 9 days: %+v", r)
	}
	if r := w.after(1000 * day); r.Objects != 0 || !w.has("k", now) || w.stored("k") != "now+d" {
		t.Errorf("a cache that is complete: %+v", r)
	}
	for _, name := range []string{"ci/runner/t0ken/v1/7/s/notes.txt", "ci/runner/0ther/v1/7/s/x/head", string(w.shared("k")) + "o/notes.txt"} {
		if !slices.Contains(w.names(name), name) {
			t.Errorf("%s is gone", name)
		}
	}
	running.Event(job.CacheEvent{Saved: &job.CacheSaved{Result: job.SaveSkipped}})
}

func TestSweepHeads(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "damaged", "x")
	w.write(w.shared("damaged").head(), "?")
	w.save(w.Cache, "large", "x")
	w.write(w.shared("large").head(), strings.Repeat("?", maxHeadBytes+1))
	lost := w.save(w.Cache, "lost", "a", "b").entry(0).Upload.Layer
	if err := w.store.Delete(t.Context(), w.shared("lost").segment(lost, 1)); err != nil {
		t.Fatal(err)
	}
	w.save(w.Cache, "headless", "x")
	w.start(w.Cache, []string{"headless"}).fine() // notes its use
	if err := w.store.Delete(t.Context(), w.shared("headless").head()); err != nil {
		t.Fatal(err)
	}
	w.save(w.Cache, "fine", "x")

	if r := w.after(7 * day); r.Objects != 0 || r.Keys != 5 {
		t.Errorf("after 7 days: %+v", r)
	}
	w.after(9 * day)
	for _, key := range []string{"damaged", "large", "lost", "headless"} {
		if names := w.names(string(w.shared(key))); len(names) > 0 {
			t.Errorf("%s: left %q", key, names)
		}
	}
	if got := w.stored("fine"); got != "x" {
		t.Errorf("stored %q", got)
	}
}

// TestSweepMeetsPublisher publishes what the sweep has just listed as an orphan.
func TestSweepMeetsPublisher(t *testing.T) {
	w := newWorld(t)
	r := w.start(w.Cache, []string{"k"})
	segments := r.send(0, "x")
	w.bucket = &late{Bucket: w.store, before: func() {
		r.report(0, job.CacheSaved{Result: job.SaveFull}, segments)
		if warnings := r.Finish(t.Context()); len(warnings) > 0 {
			t.Errorf("warnings %q", warnings)
		}
	}}
	if result := w.after(9 * day); result.Objects != 0 {
		t.Errorf("deleted %+v", result)
	}
	if got := w.stored("k"); got != "x" {
		t.Errorf("stored %q", got)
	}
}

// A late bucket does something before the first object is read.
type late struct {
	*store.Bucket
	before func()
}

// Get reads an object.
func (l *late) Get(ctx context.Context, name string, maxBytes int64) ([]byte, store.Object, error) {
	if before := l.before; before != nil {
		l.before = nil
		before()
	}
	return l.Bucket.Get(ctx, name, maxBytes)
}

// TestSweepMany sweeps more than one page of a listing holds.
func TestSweepMany(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "x")
	layer := newLayerID(time.Now())
	const n = 1100
	var writing errgroup.Group
	writing.SetLimit(8)
	for i := range n {
		writing.Go(func() error {
			_, err := w.store.Put(t.Context(), w.shared("k").segment(layer, i), []byte("y"), store.Condition{})
			return err
		})
	}
	if err := writing.Wait(); err != nil {
		t.Fatal(err)
	}
	if r := w.after(9 * day); r.Objects != n || r.Bytes != n {
		t.Errorf("deleted %+v", r)
	}
	if names := w.names(string(w.shared("k"))); len(names) != 2 {
		t.Errorf("left: %q", names)
	}
}

func TestSweepStoreDown(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "x")
	w.server.Kill()
	if r, err := w.Sweep(t.Context(), SweepOptions{}); err == nil || r.Keys != 0 {
		t.Errorf("swept %+v, %v", r, err)
	}
}

func TestRun(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	w := newWorld(t, func(c *Config) { c.SweepEvery, c.Log = 50*time.Millisecond, zap.New(core) })
	for i := range 3 {
		w.save(w.Cache, fmt.Sprint(i), "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	w.eventually("it has swept three times", func() bool { return logs.FilterMessage("caches swept").Len() >= 3 })
	cancel()
	<-ended
	if n := logs.FilterMessage("caches swept").All()[0].ContextMap()["keys"]; n != int64(3) {
		t.Errorf("it has seen %v keys", n)
	}
}
