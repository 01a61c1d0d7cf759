package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/internal/miniotest"
	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// A world is a real store, and a runner's caches in it.
type world struct {
	*Cache
	t      *testing.T
	server *miniotest.Server
	store  *store.Bucket
	http   *http.Client
	ids    atomic.Int64 // of jobs
}

func newWorld(t *testing.T, changes ...func(*Config)) *world {
	t.Helper()
	server := miniotest.Start(t, miniotest.Options{})
	b := openStore(t, server, func(*store.Config) {})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w := &world{t: t, server: server, store: b, http: &http.Client{Transport: transport}}
	w.Cache = w.daemon(changes...)
	w.eventually("the store answers", func() bool {
		_, err := b.Put(t.Context(), "ready", []byte("x"), store.Condition{})
		return err == nil
	})
	return w
}

func openStore(t *testing.T, s *miniotest.Server, change func(*store.Config)) *store.Bucket {
	t.Helper()
	c := store.Config{Address: s.Endpoint, Bucket: s.Bucket, Insecure: true, AccessKey: s.AccessKey, SecretKey: s.SecretKey}
	change(&c)
	b, err := store.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// daemon returns the caches as another process would have them.
func (w *world) daemon(changes ...func(*Config)) *Cache {
	w.t.Helper()
	c := Config{Path: "ci", Runner: "t0ken", MaxBytes: 64 << 20, Log: zap.NewNop()}
	for _, change := range changes {
		change(&c)
	}
	cache, err := New(w.store, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return cache
}

// eventually waits for what has no other sign.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("it never came to be that %s", what)
		}
	}
}

// A run is one job with its caches.
type run struct {
	*Session
	w    *world
	job  *job.Job
	plan *job.Plan
}

// start prepares a job that restores and saves caches of the given keys, each
// a cache with its fallback keys.
func (w *world) start(c *Cache, caches ...[]string) *run {
	w.t.Helper()
	j := &job.Job{ID: 1000 + w.ids.Add(1), ProjectID: 7, Git: job.Git{Ref: "main", Protected: job.False}}
	plan := &job.Plan{Timeout: time.Hour}
	for _, keys := range caches {
		plan.Helper.Caches = append(plan.Helper.Caches, job.CachePlan{Key: keys[0], Restore: true, Save: true})
		var request job.CacheRequest
		for _, k := range keys {
			request.Keys = append(request.Keys, job.CacheKey{Name: k, Object: k, Text: k})
		}
		plan.Caches = append(plan.Caches, request)
	}
	return w.prepare(c, j, plan)
}

func (w *world) prepare(c *Cache, j *job.Job, plan *job.Plan) *run {
	s := c.Prepare(w.t.Context(), j, plan)
	w.t.Cleanup(func() { s.Close(context.WithoutCancel(w.t.Context())) })
	return &run{Session: s, w: w, job: j, plan: plan}
}

// entry is a cache of the plan.
func (r *run) entry(i int) *job.CachePlan { return &r.plan.Helper.Caches[i] }

// send uploads segments as a pod does, and returns what it would report.
func (r *run) send(i int, contents ...string) []job.CacheSegment {
	r.w.t.Helper()
	u := r.entry(i).Upload
	if u == nil {
		r.w.t.Fatalf("cache %d cannot be saved: %s", i, r.entry(i).Note)
	}
	var list []job.CacheSegment
	for n, content := range contents {
		if status := r.w.put(u.URLs[n], u.Headers, content); status != http.StatusOK {
			r.w.t.Fatalf("PUT of segment %d: %d", n, status)
		}
		list = append(list, segmentOf(content))
	}
	return list
}

func segmentOf(content string) job.CacheSegment {
	sum := sha256.Sum256([]byte(content))
	return job.CacheSegment{Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

func (w *world) put(url string, headers map[string]string, content string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, url, bytes.NewReader([]byte(content)))
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode
}

// get reads a presigned URL.
func (w *world) get(url string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("GET: %d %v %s", resp.StatusCode, err, data)
	}
	return string(data)
}

// report says that segments are saved, as the pod's events do.
func (r *run) report(i int, saved job.CacheSaved, segments []job.CacheSegment) {
	for part := range slices.Chunk(segments, 2) {
		r.Event(job.CacheEvent{Index: i, Segments: part})
	}
	r.Event(job.CacheEvent{Index: i, Saved: &saved})
}

// full saves a base of the given segments.
func (r *run) full(i int, contents ...string) {
	r.w.t.Helper()
	r.report(i, job.CacheSaved{Result: job.SaveFull, Raw: 100, Entries: 2}, r.send(i, contents...))
}

// delta saves what has changed since the base that was restored.
func (r *run) delta(i int, contents ...string) {
	r.w.t.Helper()
	r.report(i, job.CacheSaved{Result: job.SaveDelta, Base: r.entry(i).Hit.Base.ID, Raw: 10, Entries: 1, Whiteouts: 1}, r.send(i, contents...))
}

// end waits for the session's work, as the end of a job does, and returns what
// its log says.
func (r *run) end() []string {
	r.w.t.Helper()
	warnings := r.Finish(r.w.t.Context())
	r.Close(r.w.t.Context())
	return warnings
}

// fine ends a job that has nothing to complain about.
func (r *run) fine() {
	r.w.t.Helper()
	if warnings := r.end(); len(warnings) > 0 {
		r.w.t.Fatalf("warnings: %q", warnings)
	}
}

// save makes a cache.
func (w *world) save(c *Cache, key string, contents ...string) *run {
	w.t.Helper()
	r := w.start(c, []string{key})
	r.full(0, contents...)
	r.fine()
	return r
}

// content is what a restore of a plan's entry gives: its layers, as in "ab+c".
func (r *run) content(i int) string {
	r.w.t.Helper()
	hit := r.entry(i).Hit
	if hit == nil {
		return ""
	}
	var text string
	for _, s := range hit.Base.Segments {
		text += r.w.get(s.URL)
	}
	if hit.Delta != nil {
		text += "+"
		for _, s := range hit.Delta.Segments {
			text += r.w.get(s.URL)
		}
	}
	return text
}

// stored is what a job would restore for key.
func (w *world) stored(key string) string {
	w.t.Helper()
	r := w.start(w.Cache, []string{key})
	text := r.content(0)
	r.Close(w.t.Context())
	return text
}

// names lists the store below prefix.
func (w *world) names(prefix string) []string {
	w.t.Helper()
	var names []string
	for object, err := range w.store.List(w.t.Context(), prefix) {
		if err != nil {
			w.t.Fatal(err)
		}
		names = append(names, object.Name)
	}
	return names
}

// shared is the folder of a key that belongs to class s.
func (w *world) shared(key string) folder { return w.folder(placeOf(7, Shared, "", key)) }

// has reports whether the store has anything of a layer.
func (w *world) has(key, layer string) bool {
	w.t.Helper()
	return len(w.names(w.shared(key).layer(layer))) > 0
}

// headOf reads the head of key.
func (w *world) headOf(key string) *Head {
	w.t.Helper()
	h, _, err := w.readHead(w.t.Context(), placeOf(7, Shared, "", key))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// write writes an object as it is.
func (w *world) write(name, content string) {
	w.t.Helper()
	if _, err := w.store.Put(w.t.Context(), name, []byte(content), store.Condition{}); err != nil {
		w.t.Fatal(err)
	}
}

// writeHead writes a changed head of key.
func (w *world) writeHead(key string, change func(*Head)) {
	w.t.Helper()
	h := w.headOf(key)
	change(h)
	data, err := h.encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(w.shared(key).head(), string(data))
}
