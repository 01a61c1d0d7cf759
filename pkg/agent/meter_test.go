package agent_test

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/go-units"

	"github.com/runnerd/runnerd/pkg/job"
)

// A gate holds requests back until the job's log says something.
type gate struct {
	t     *testing.T
	said  string
	open  chan struct{}
	first sync.Once
}

func newGate(t *testing.T, p *pod, said string) *gate {
	g := &gate{t: t, said: said, open: make(chan struct{})}
	p.onLog = func(_ *pod, log string) {
		if strings.Contains(log, g.said) {
			g.first.Do(func() { close(g.open) })
		}
	}
	return g
}

func (g *gate) wait() {
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	select {
	case <-g.open:
	case <-late.C:
		g.t.Errorf("the log does not say %q while a transfer goes on", g.said)
	}
}

const metered = 5 * time.Millisecond

func TestMeterOfCaches(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	through := s.Config.Handler
	var held atomic.Pointer[gate]
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g := held.Load(); g != nil {
			g.wait()
		}
		through.ServeHTTP(w, r)
	})
	save := newPod(t, "mkdir deps; seq 1 1000 > deps/numbers")
	held.Store(newGate(t, save, "Uploading cache deps: "))
	save.helper.Meter = metered
	plan := cachePlan("deps")
	plan.Upload = s.upload("1")
	save.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, save.run(), exited(0))
	_, layer := s.saved(save, 0, "1")

	restore := newPod(t, "wc -l < deps/numbers")
	held.Store(newGate(t, restore, "Downloading cache deps: 0B of "+human(layer.Bytes())+" (0%), 0B/s"))
	restore.helper.Meter = metered
	plan = cachePlan("deps")
	plan.Save = false
	plan.Hit, plan.Lookups = hit(layer, nil)
	restore.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, restore.run(), exited(0))
	restore.wants("1000")

	silent := newPod(t, "true")
	held.Store(nil)
	silent.helper.Caches = []job.CachePlan{plan}
	wantOutcome(t, silent.run(), exited(0))
	if strings.Contains(silent.text(), "Downloading cache") {
		t.Errorf("there is a meter that nobody wants:\n%s", silent.text())
	}
}

func TestMeterOfArtifacts(t *testing.T) {
	t.Parallel()
	archive := zippedFile(t, "made.txt", strings.Repeat("made\n", 1000))
	p := newPod(t, "wc -l < made.txt", "cp made.txt out")
	downloading := newGate(t, p, "Downloading artifacts of build (3): "+human(int64(len(archive)/2))+" of "+human(int64(len(archive)))+" (50%), ")
	seen := p.onLog
	uploading := newGate(t, p, "Uploading artifacts.zip: ")
	next := p.onLog
	p.onLog = func(p *pod, log string) {
		seen(p, log)
		next(p, log)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			half := len(archive) / 2
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write(archive[:half])
			_ = http.NewResponseController(w).Flush()
			downloading.wait()
			_, _ = w.Write(archive[half:])
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		uploading.wait()
		w.WriteHeader(http.StatusCreated)
	}))
	defer server.Close()
	p.helper.Meter = metered
	p.helper.GitLab = job.GitLabPlan{API: server.URL + "/api/v4/", Token: "t", Attempts: 1}
	p.helper.Dependencies = []job.DependencyPlan{{JobID: 3, Name: "build", Token: "t", Size: int64(len(archive))}}
	p.helper.Artifacts = []job.ArtifactPlan{archivePlan("out")}
	wantOutcome(t, p.run(), exited(0))
	p.wants("1000")
}

func zippedFile(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err == nil {
		_, err = io.WriteString(f, content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// human writes a size as the log does.
func human(bytes int64) string { return units.HumanSize(float64(bytes)) }
