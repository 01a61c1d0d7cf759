package cache

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// TestDamagedHeads shows that no head, whatever is in it, does more than to be
// missed, and that the next save repairs it.
func TestDamagedHeads(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "good", "x")
	good, err := w.headOf("good").encode()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"empty":       "",
		"text":        "hello",
		"cut":         string(good[:len(good)/2]),
		"another key": string(good),
		"newer":       strings.Replace(strings.Replace(string(good), `"v":1`, `"v":2`, 1), `"good"`, `"newer"`, 1),
		"large":       strings.Repeat(" ", maxHeadBytes+1),
	}
	for name, head := range tests {
		t.Run(name, func(t *testing.T) {
			w.write(w.shared(name).head(), head)
			r := w.start(w.Cache, []string{name, "good"})
			p := r.entry(0)
			if p.Lookups[0].Result != job.CacheBroken || !strings.HasPrefix(p.Lookups[0].Detail, "head damaged: ") {
				t.Errorf("lookup %+v", p.Lookups[0])
			}
			if p.Hit == nil || p.Hit.Key != "good" {
				t.Errorf("it stops the fallback: %+v", p.Hit)
			}
			r.full(0, "repaired")
			r.fine()
			if got := w.stored(name); got != "repaired" {
				t.Errorf("stored %q", got)
			}
		})
	}
}

// TestStoreDown shows that a store that is gone costs a job a bounded time, and
// that its log says so.
func TestStoreDown(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Lookup = 5 * time.Second })
	w.save(w.Cache, "k", "x")
	r := w.start(w.Cache, []string{"k"})
	segments := r.send(0, "y")
	w.server.Kill()
	r.report(0, job.CacheSaved{Result: job.SaveFull}, segments)
	if warnings := r.end(); len(warnings) != 1 || !strings.Contains(warnings[0], "does not answer") {
		t.Errorf("warnings %q", warnings)
	}

	began := time.Now()
	down := w.start(w.Cache, []string{"k", "a", "b", "c"}, []string{"l"}, []string{"m"})
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("lookups took %s", took)
	}
	p := down.entry(0)
	if len(p.Lookups) != 1 || p.Lookups[0].Result != job.CacheMiss || !strings.Contains(p.Lookups[0].Detail, "does not answer") || !strings.Contains(p.Note, "does not answer") {
		t.Errorf("plan %+v", p)
	}
	down.end()

	w.server.Restart()
	w.eventually("the store is back", func() bool {
		_, err := w.store.Put(t.Context(), "ready", []byte("x"), store.Condition{})
		return err == nil
	})
	if got := w.stored("k"); got != "x" {
		t.Errorf("stored %q", got)
	}
}

// TestSilentStore asks a store that takes connections and says nothing.
func TestSilentStore(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := store.Open(store.Config{Address: l.Addr().String(), Bucket: "caches", Insecure: true, Region: "us-east-1", AccessKey: "user", SecretKey: "password"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c, err := New(b, Config{Runner: "r", Lookup: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	began := time.Now()
	r := w.start(c, []string{"k", "l"})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("lookups took %s", took)
	}
	p := r.entry(0)
	if len(p.Lookups) != 1 || p.Lookups[0].Detail != "the store does not answer within 300ms" || p.Hit != nil {
		t.Errorf("plan %+v", p)
	}
	if p.Upload == nil {
		t.Error("it may be back by the end of the job, and nothing can be saved")
	}
	r.Event(job.CacheEvent{Saved: &job.CacheSaved{Result: job.SaveSkipped}})
	r.fine()
}

func TestDenied(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "x")
	wrong := openStore(t, w.server, func(c *store.Config) { c.SecretKey = "wrong-password" })
	c, err := New(wrong, w.Config)
	if err != nil {
		t.Fatal(err)
	}
	r := w.start(c, []string{"k", "l"})
	p := r.entry(0)
	if len(p.Lookups) != 2 || p.Lookups[0].Result != job.CacheDenied || !strings.Contains(p.Lookups[0].Detail, "the store refuses: 403 SignatureDoesNotMatch") || !strings.Contains(p.Lookups[0].Detail, "check SecretKey") {
		t.Errorf("plan %+v", p)
	}
	if strings.Contains(p.Lookups[0].Detail, "s3://") {
		t.Errorf("the job's log names the bucket: %q", p.Lookups[0].Detail)
	}
	if p.Upload != nil || !strings.Contains(p.Note, "the store refuses: 403") {
		t.Errorf("note %q, upload %v", p.Note, p.Upload)
	}
	r.fine()

	// A region saves the question for it, so there are URLs, which are no good.
	wrong = openStore(t, w.server, func(c *store.Config) { c.SecretKey, c.Region = "wrong-password", "us-east-1" })
	if c, err = New(wrong, w.Config); err != nil {
		t.Fatal(err)
	}
	r = w.start(c, []string{"k"})
	r.report(0, job.CacheSaved{Result: job.SaveFull}, []job.CacheSegment{segmentOf("x")})
	if warnings := r.end(); len(warnings) != 1 || !strings.Contains(warnings[0], "the store refuses: 403") {
		t.Errorf("warnings %q", warnings)
	}

	none := openStore(t, w.server, func(c *store.Config) { c.Bucket = "none" })
	if c, err = New(none, w.Config); err != nil {
		t.Fatal(err)
	}
	r = w.start(c, []string{"k", "l"})
	if p := r.entry(0); len(p.Lookups) != 1 || p.Lookups[0].Result != job.CacheDenied || !strings.Contains(p.Lookups[0].Detail, "no such bucket") {
		t.Errorf("plan %+v", p)
	}
	r.end()
}

// A mortal bucket has credentials that end.
type mortal struct {
	*store.Bucket
	end time.Time
}

// CredentialsExpire is that of a role.
func (m *mortal) CredentialsExpire(context.Context) (time.Time, bool) { return m.end, true }

func TestCredentialsEnd(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "x")
	var log bytes.Buffer
	config := w.Config
	config.Log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"}), zapcore.AddSync(&log), zap.DebugLevel))
	c, err := New(&mortal{w.store, time.Now().Add(30 * time.Minute)}, config)
	if err != nil {
		t.Fatal(err)
	}
	r := w.start(c, []string{"k"}) // of a job that may take an hour
	if detail := r.entry(0).Lookups[0].Detail; !strings.Contains(detail, "30m0s") && !strings.Contains(detail, "29m5") {
		t.Errorf("detail %q", detail)
	}
	r.Event(job.CacheEvent{Saved: &job.CacheSaved{Result: job.SaveFailed, Code: job.CodeExpired}})
	if warnings := r.end(); len(warnings) != 1 || !strings.Contains(warnings[0], "credentials") {
		t.Errorf("warnings %q", warnings)
	}
	if !strings.Contains(log.String(), "credentials end before the job may") {
		t.Errorf("log: %s", log.String())
	}
	if strings.Contains(log.String(), "X-Amz-") {
		t.Errorf("a URL is in the log: %s", log.String())
	}
}
