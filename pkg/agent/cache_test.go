package agent_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// A shelf is a store behind URLs, each of which takes one object.
type shelf struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string][]byte
	refuse  int // status for all requests, unless 0
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{objects: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, there := s.objects[r.URL.Path]
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case s.refuse != 0:
		w.WriteHeader(s.refuse)
	case r.Method == http.MethodGet && there:
		w.Write(old)
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusNotFound)
	case there || r.Header.Get("If-None-Match") != "*":
		w.WriteHeader(http.StatusPreconditionFailed)
	default:
		s.objects[r.URL.Path] = body
	}
}

func (s *shelf) upload(layer string) *job.CacheUpload {
	u := &job.CacheUpload{Layer: layer, Headers: map[string]string{"If-None-Match": "*"}, MaxBytes: 1 << 30}
	for n := range 8 {
		u.URLs = append(u.URLs, fmt.Sprintf("%s/%s/%d?signature=secret", s.URL, layer, n))
	}
	return u
}

// saved returns what a pod's job has reported of cache i, and the layer.
func (s *shelf) saved(p *pod, i int, layer string) (job.CacheSaved, job.CacheLayer) {
	p.t.Helper()
	l := job.CacheLayer{ID: layer}
	for _, e := range p.events {
		if e.Cache == nil || e.Cache.Index != i {
			continue
		}
		for _, segment := range e.Cache.Segments {
			segment.URL = fmt.Sprintf("%s/%s/%d", s.URL, layer, len(l.Segments))
			l.Segments = append(l.Segments, segment)
		}
		if e.Cache.Saved != nil {
			l.Raw, l.Entries = e.Cache.Saved.Raw, e.Cache.Saved.Entries
			return *e.Cache.Saved, l
		}
	}
	p.t.Fatalf("no save of cache %d is reported; the log:\n%s", i, p.text())
	return job.CacheSaved{}, l
}

func cachePlan(paths ...string) job.CachePlan {
	return job.CachePlan{
		Key: "deps", Paths: paths, When: job.WhenSuccess, Restore: true, Save: true,
		Attempts: 1, Timeout: time.Minute, Level: "fastest",
		Lookups: []job.CacheLookup{{Key: "deps", Result: job.CacheMiss}},
	}
}

func hit(base job.CacheLayer, delta *job.CacheLayer) (*job.CacheHit, []job.CacheLookup) {
	return &job.CacheHit{Key: "deps", Base: base, Delta: delta, Job: 7, Ref: "main", Saved: time.Now().Add(-2 * time.Hour)},
		[]job.CacheLookup{{Key: "deps", Result: job.CacheHitPrimary}}
}

// A cache is saved, restored and not sent again, changed and sent as a delta.
func TestCacheFromJobToJob(t *testing.T) {
	for _, user := range []*syscall.Credential{nil, {Uid: 1234, Gid: 1234}} {
		if user != nil && os.Getuid() != 0 {
			continue // another user's files need root; the first case has shown the rest
		}
		t.Run(fmt.Sprintf("other user %t", user != nil), func(t *testing.T) { jobToJob(t, user) })
	}
}

func jobToJob(t *testing.T, user *syscall.Credential) {
	s := newShelf(t)
	first := newPod(t, "mkdir -p deps/a", "echo one > deps/a/1; echo two > deps/2; ln -s a/1 deps/link", "for i in 1 2 3 4 5 6 7 8 9; do seq 1 1000 > deps/a/f$i; done")
	first.buildUser = user
	plan := cachePlan("deps/", "nothing")
	plan.Upload = s.upload("base")
	first.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, first.run(), exited(0))
	first.wants("Restoring cache", "Checking cache for deps...", "Cache deps: miss", "Saving cache for successful job", "Creating cache deps...",
		"deps/: found 14 matching files and directories", "Created cache")
	first.wantsNot("signature")
	done, base := s.saved(first, 0, "base")
	if done.Result != job.SaveFull || len(base.Segments) == 0 || base.Entries != 14 {
		t.Fatalf("saved %+v, layer %+v", done, base)
	}

	second := newPod(t, "cat deps/link deps/2", "test $(cat deps/a/f9 | wc -l) = 1000", "test -w deps/a/1")
	second.buildUser = user
	plan = cachePlan("deps")
	plan.Hit, plan.Lookups = hit(base, nil)
	plan.Upload = s.upload("unused")
	second.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, second.run(), exited(0))
	second.wants("one", "two")
	if done, _ := s.saved(second, 0, "unused"); done.Result != job.SaveUnchanged {
		t.Errorf("after a job that changes nothing: %+v; the log:\n%s", done, second.text())
	}

	third := newPod(t, "echo ONE > deps/a/1; rm deps/2; echo three > deps/3")
	third.buildUser = user
	plan.Hit, plan.Lookups = hit(base, nil)
	plan.Upload = s.upload("delta")
	third.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, third.run(), exited(0))
	done, delta := s.saved(third, 0, "delta")
	if done.Result != job.SaveDelta || done.Base != "base" || done.Whiteouts != 1 || done.Entries != 2 {
		t.Fatalf("after a small change: %+v; the log:\n%s", done, third.text())
	}

	fourth := newPod(t, "cat deps/link deps/3; test ! -e deps/2; test $(cat deps/a/f1 | wc -l) = 1000")
	fourth.buildUser = user
	plan.Hit, plan.Lookups = hit(base, &delta)
	plan.Upload = s.upload("unused")
	fourth.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, fourth.run(), exited(0))
	fourth.wants("ONE", "three")
	if done, _ := s.saved(fourth, 0, "unused"); done.Result != job.SaveUnchanged {
		t.Errorf("after a restore of base and delta: %+v; the log:\n%s", done, fourth.text())
	}
}

// What goes wrong with a cache changes nothing of the job.
func TestCacheTroubleIsNoFailure(t *testing.T) {
	s := newShelf(t)
	s.refuse = http.StatusForbidden
	p := newPod(t, "mkdir deps; echo x > deps/x")
	plan := cachePlan("deps")
	plan.Hit, plan.Lookups = hit(job.CacheLayer{ID: "base", Raw: 10, Entries: 1, Segments: []job.CacheSegment{{Bytes: 100, SHA256: strings.Repeat("0", 64), URL: s.URL + "/gone?signature=secret"}}}, nil)
	plan.Upload = s.upload("layer")
	noStore := cachePlan("deps")
	noStore.Note = "there is no store"
	p.helper.Caches = []job.CachePlan{plan, noStore}
	wantOutcome(t, p.run(), exited(0))
	for _, text := range []string{"Failed to extract cache deps: denied", "Failed to create cache deps: denied", "Cache deps is not restored: there is no store", "Cache deps is not saved: there is no store"} {
		if !strings.Contains(p.text(), text) {
			t.Errorf("%q is not in the log:\n%s", text, p.text())
		}
	}
	p.wantsNot("signature")
	if done, _ := s.saved(p, 0, "layer"); done.Result != job.SaveFailed || done.Code != job.CodeDenied {
		t.Errorf("reported %+v", done)
	}
}

func TestCacheModesAndWhen(t *testing.T) {
	s := newShelf(t)
	entry := func(layer, when string, restore, save bool) job.CachePlan {
		p := cachePlan("deps")
		p.Key, p.When, p.Restore, p.Save = layer, when, restore, save
		p.Upload = s.upload(layer)
		return p
	}
	p := newPod(t, "mkdir deps; echo x > deps/x; exit 3")
	p.helper.Caches = []job.CachePlan{
		entry("success", job.WhenSuccess, true, true), entry("failure", job.WhenFailure, false, true),
		entry("always", job.WhenAlways, true, true), entry("pull", job.WhenAlways, true, false),
	}
	wantOutcome(t, p.run(), exited(3))
	p.wants("Not downloading cache failure due to policy", "Saving cache for failed job", "Creating cache failure...", "Creating cache always...", "Not uploading cache pull due to policy")
	p.wantsNot("Creating cache success")
	for i, want := range []job.SaveResult{job.SaveSkipped, job.SaveFull, job.SaveFull} {
		if done, _ := s.saved(p, i, "x"); done.Result != want {
			t.Errorf("cache %d: %+v, want %s", i, done, want)
		}
	}
}

func TestCacheWithUnknownPolicyFailsTheJob(t *testing.T) {
	p := newPod(t, "echo never")
	plan := cachePlan("deps")
	plan.Error = `cache "deps": unknown cache policy "pul"`
	p.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, p.run(), job.Outcome{State: job.Failed, Reason: job.RunnerConfigurationError, Message: plan.Error})
	p.wantsNot("never")
}

// A script must not make the helper read what only the helper may.
func TestCacheOfAProjectThatWasReplaced(t *testing.T) {
	s := newShelf(t)
	secret := t.TempDir()
	if err := os.WriteFile(filepath.Join(secret, "token"), []byte("top secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := newPod(t, "echo mine > mine", "ln -s "+secret+" link", `cd ..; mv project elsewhere; ln -s `+secret+` project`)
	plan := cachePlan("*", "link/*")
	plan.Upload = s.upload("layer")
	p.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, p.run(), exited(0))
	done, layer := s.saved(p, 0, "layer")
	if done.Result != job.SaveFull || layer.Entries != 2 {
		t.Errorf("saved %+v, want the two entries of the project; the log:\n%s", done, p.text())
	}
}

// By the time caches are saved, the repository's configuration is the script's.
func TestCacheOfUntrackedFilesRunsNothing(t *testing.T) {
	s := newShelf(t)
	canary := filepath.Join(t.TempDir(), "canary")
	p := newPod(t, "git init -q .", "git config core.fsmonitor 'touch "+canary+"; false'", "git config core.hooksPath /tmp", "mkdir d; echo x > d/new; echo y > .gitignore")
	plan := cachePlan()
	plan.Untracked = true
	plan.Upload = s.upload("layer")
	p.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, p.run(), exited(0))
	if done, layer := s.saved(p, 0, "layer"); done.Result != job.SaveFull || layer.Entries != 2 {
		t.Errorf("saved %+v of %+v; the log:\n%s", done, layer, p.text())
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("the helper's git has run a program of the job's")
	}
}

// Paths see what the job has left in GITLAB_ENV.
func TestCachePathsAreExpandedLate(t *testing.T) {
	s := newShelf(t)
	p := newPod(t, "mkdir -p out/x && echo 1 > out/x/f", `echo "PLACE=out/x" >> "$GITLAB_ENV"`)
	plan := cachePlan("$PLACE", "${CI_PROJECT_DIR}/out/x/f")
	plan.Upload = s.upload("layer")
	p.helper.Caches = []job.CachePlan{plan}
	p.helper.Variables = []job.Variable{{Key: "CI_PROJECT_DIR", Value: p.helper.ProjectDir}}
	wantOutcome(t, p.run(), exited(0))
	p.wants("out/x: found 2 matching files and directories")
	if done, layer := s.saved(p, 0, "layer"); done.Result != job.SaveFull || layer.Entries != 2 {
		t.Errorf("saved %+v of %+v; the log:\n%s", done, layer, p.text())
	}
}

// FF_CLEAN_UP_FAILED_CACHE_EXTRACT removes the cache's own paths and no others.
func TestCacheThatIsBrokenIsWiped(t *testing.T) {
	s := newShelf(t)
	p := newPod(t, "find . -type f | sort")
	p.helper.Sources.Strategy = job.StrategyNone
	for _, name := range []string{"deps/a/1", "deps/2", "lib/x.o", "lib/x.c", "X/keep"} {
		path := filepath.Join(p.helper.ProjectDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plan := cachePlan("deps/", p.helper.ProjectDir+"/lib/*.o", ".", "../other", p.helper.ProjectDir+"X/keep")
	plan.WipeOnErr, plan.Save = true, false
	plan.Hit, plan.Lookups = hit(job.CacheLayer{ID: "base", Raw: 10, Entries: 1, Segments: []job.CacheSegment{{Bytes: 100, SHA256: strings.Repeat("0", 64), URL: s.URL + "/gone"}}}, nil)
	p.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, p.run(), exited(0))
	p.wants("./X/keep", "./lib/x.c")
	for _, gone := range []string{"./deps", "./lib/x.o"} {
		p.wantsNot(gone)
	}
	for _, why := range []string{"it is the project directory itself", "it is outside of the project directory"} {
		if !strings.Contains(p.text(), why) {
			t.Errorf("%q is not in the log:\n%s", why, p.text())
		}
	}
}
