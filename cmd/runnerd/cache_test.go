package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/internal/miniotest"
	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// The scripts in testdata/cache drive `runnerd cache` against a real store. Each
// has a bucket of its own, and a config.toml with two runners that keep their
// caches there.
//
//	save PROJECT KEY BYTES [protected]  saves a cache, as job 100 + PROJECT on main
//	upload PROJECT KEY BYTES            the same, by a job that never says that it has
//	objects N                           fails unless there are N objects in the bucket
func TestCacheScripts(t *testing.T) {
	server, pod := startStore(t, miniotest.Options{TLS: true})
	bucketOf := func(ts *testscript.TestScript) *store.Bucket { return ts.Value(bucketKey{}).(*store.Bucket) }
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/cache",
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setUpBucket(env, server) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"save":   func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(save(bucketOf(ts), pod, args, true)) },
			"upload": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(save(bucketOf(ts), pod, args, false)) },
			"objects": func(ts *testscript.TestScript, _ bool, args []string) {
				n := 0
				for o, err := range bucketOf(ts).List(context.Background(), "") {
					ts.Check(err)
					ts.Logf("%s", o.Name)
					n++
				}
				if strconv.Itoa(n) != args[0] {
					ts.Fatalf("%d objects in the bucket, want %s", n, args[0])
				}
			},
		},
	})
}

// startStore starts a server, and returns a client that trusts it.
func startStore(t *testing.T, o miniotest.Options) (*miniotest.Server, *http.Client) {
	t.Helper()
	server := miniotest.Start(t, o)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.CA)
	return server, &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
}

// bucketKey finds a script's bucket in its values.
type bucketKey struct{}

func setUpBucket(env *testscript.Env, server *miniotest.Server) error {
	name := "bucket-" + filepath.Base(env.WorkDir)
	// A folder of the server's data is a bucket.
	if err := os.Mkdir(server.Dir()+"/"+name, 0o755); err != nil {
		return err
	}
	ca := env.WorkDir + "/store-ca.pem"
	if err := os.WriteFile(ca, server.CA, 0o600); err != nil {
		return err
	}
	b, err := store.Open(store.Config{Address: server.Endpoint, Bucket: name, AccessKey: server.AccessKey, SecretKey: server.SecretKey, CAFile: ca})
	if err != nil {
		return err
	}
	env.Defer(b.Close)
	env.Values[bucketKey{}] = b
	env.Setenv("CONFIG_FILE", "config.toml")
	var text string
	for _, runner := range []string{"first", "second"} {
		text += fmt.Sprintf(`[[runners]]
name = %q
url = "https://gitlab.example.com"
token = "glrt-t1_%s"
executor = "local"
[runners.cache]
Type = "s3"
Path = "ci"
Shared = true
[runners.cache.s3]
ServerAddress = %q
AccessKey = %q
SecretKey = %q
BucketName = %q
ca_file = "store-ca.pem"
`, runner, runner, server.Endpoint, server.AccessKey, server.SecretKey, name)
	}
	return os.WriteFile(env.WorkDir+"/config.toml", []byte(text), 0o600)
}

// save does what a job does that saves a cache: PROJECT KEY BYTES [protected].
// With publish it reports what it has uploaded.
func save(b *store.Bucket, pod *http.Client, args []string, publish bool) error {
	var project int64
	var size int
	if _, err := fmt.Sscan(args[0]+" "+args[2], &project, &size); err != nil {
		return err
	}
	caches, err := cache.New(b, cache.Config{Path: "ci", SharedStore: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	j := &job.Job{ID: 100 + project, ProjectID: project, Git: job.Git{Ref: "main", Protected: job.False}}
	if len(args) > 3 {
		j.Git.Protected = job.True
	}
	key := job.CacheKey{Name: args[1], Object: args[1], Text: args[1]}
	plan := &job.Plan{
		Timeout: time.Hour, ProjectID: project, Ref: "main",
		Caches: []job.CacheRequest{{Keys: []job.CacheKey{key}}},
		Helper: job.HelperPlan{Caches: []job.CachePlan{{Key: args[1], Save: true}}},
	}
	s := caches.Prepare(ctx, j, plan)
	up := plan.Helper.Caches[0].Upload
	if up == nil {
		return errors.New("nothing can be saved: " + plan.Helper.Caches[0].Note)
	}
	data := bytes.Repeat([]byte("x"), size)
	if err := put(ctx, pod, up, data); err != nil {
		return err
	}
	if !publish {
		return nil // the session is lost, as with a daemon that is killed
	}
	defer s.Close(ctx)
	sum := sha256.Sum256(data)
	s.Event(job.CacheEvent{Segments: []job.CacheSegment{{Bytes: int64(size), SHA256: hex.EncodeToString(sum[:])}}})
	s.Event(job.CacheEvent{Saved: &job.CacheSaved{Result: job.SaveFull, Bytes: int64(size), Raw: int64(2 * size), Entries: 3}})
	for _, warning := range s.Finish(ctx) {
		err = errors.Join(err, errors.New(warning))
	}
	return err
}

func put(ctx context.Context, pod *http.Client, up *job.CacheUpload, data []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, up.URLs[0], bytes.NewReader(data))
	if err != nil {
		return err
	}
	for name, value := range up.Headers {
		req.Header.Set(name, value)
	}
	resp, err := pod.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// TestPruneProgress: a terminal shows how far the deletion is.
func TestPruneProgress(t *testing.T) {
	screen, terminal := openTerminal(t)
	a := &app{stderr: terminal}
	o := cache.PruneOptions{}
	done := a.progress(&o)
	o.Progress(1, 4, 3<<20)
	o.Progress(2, 4, 5<<20)
	done()
	seen := make([]byte, 0, 4096)
	if err := screen.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for !bytes.Contains(seen, []byte("5MiB")) || !bytes.Contains(seen, []byte("2/4")) {
		n, err := screen.Read(seen[len(seen):cap(seen)])
		if err != nil {
			t.Fatalf("the terminal shows %q: %v", seen, err)
		}
		seen = seen[:len(seen)+n]
	}

	o = cache.PruneOptions{}
	(&app{stderr: &bytes.Buffer{}}).progress(&o)()
	if o.Progress != nil {
		t.Error("progress is shown where nobody looks")
	}
}

// openTerminal returns both ends of a pseudo terminal.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	screen = os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close(); screen.Close() })
	return screen, terminal
}
