// Package miniotest runs a real MinIO server for tests: on a port of its own,
// with its data in a folder of the test, and it can be killed and started again.
//
// The server's program is built once by scripts/minio, unless RUNNERD_MINIO
// names one.
package miniotest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options of a server. The zero value is a server without TLS on 127.0.0.1.
type Options struct {
	Host string   // address to listen on; "127.0.0.1"
	Dir  string   // folder for the data; one of the test's
	TLS  bool     // https, with an authority of its own
	Env  []string // more of its environment, KEY=VALUE
}

// A Server is a MinIO server with one bucket.
type Server struct {
	Endpoint  string // host:port
	AccessKey string
	SecretKey string
	Bucket    string
	CA        []byte // PEM; nil without TLS

	t       testing.TB
	program string
	dir     string
	certs   string // folder with the certificate; "" without TLS
	env     []string
	client  *http.Client
	process *exec.Cmd
	log     *os.File
	exited  chan struct{} // closed when the process has ended
	ending  error         // how it did
}

// patience bounds the start of a server.
const patience = time.Minute

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	host := cmp.Or(o.Host, "127.0.0.1")
	s := &Server{
		Endpoint: freePort(t, host), AccessKey: "test-user", SecretKey: "test-password", Bucket: "caches",
		t: t, program: program(t), dir: cmp.Or(o.Dir, filepath.Join(t.TempDir(), "data")),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	// A folder of the data directory is a bucket.
	if err := os.MkdirAll(filepath.Join(s.dir, s.Bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	if o.TLS {
		s.certify(host)
	}
	s.env = append(append(os.Environ(),
		"HOME="+t.TempDir(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off",
	), o.Env...)
	log, err := os.Create(filepath.Join(t.TempDir(), "minio.log"))
	if err != nil {
		t.Fatal(err)
	}
	s.log = log
	t.Cleanup(func() {
		s.Kill()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the MinIO server's log:\n%s", text)
		}
		log.Close()
	})
	s.Restart()
	return s
}

// program returns the path of the server's program.
func program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("RUNNERD_MINIO"); path != "" {
		return path
	}
	_, self, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("miniotest: no source path; set RUNNERD_MINIO to the MinIO server's program")
	}
	c := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(self), "..", "..", "scripts", "minio"))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("miniotest: scripts/minio: %v; see its output above, or set RUNNERD_MINIO to the MinIO server's program", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

func freePort(t testing.TB, host string) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// URL is the server's, without a slash at the end.
func (s *Server) URL() string {
	if s.CA != nil {
		return "https://" + s.Endpoint
	}
	return "http://" + s.Endpoint
}

// Dir is the folder of the server's data.
func (s *Server) Dir() string { return s.dir }

// Restart starts the server on the same data and port, after a Kill.
func (s *Server) Restart() {
	s.t.Helper()
	args := []string{"server", "--quiet", "--address", s.Endpoint, "--console-address", "127.0.0.1:0"}
	if s.certs != "" {
		args = append(args, "--certs-dir", s.certs)
	}
	// Not the test's context: that ends before its cleanups, which may need the server.
	s.process = exec.CommandContext(context.Background(), s.program, append(args, s.dir)...)
	s.process.Env, s.process.Stdout, s.process.Stderr = s.env, s.log, s.log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.exited = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// The parent's death signal belongs to the thread that starts the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.process.Start()
		started <- err
		if err == nil {
			s.ending = s.process.Wait()
			close(s.exited)
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatalf("miniotest: %v", err)
	}
	s.await()
}

// await waits until the server answers.
func (s *Server) await() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.ready(ctx) {
			return
		}
		select {
		case <-s.exited:
			s.t.Fatalf("miniotest: the server has ended: %v", s.ending)
		case <-ctx.Done():
			s.t.Fatalf("miniotest: the server does not answer within %v", patience)
		case <-tick.C:
		}
	}
}

func (s *Server) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/minio/health/cluster", nil)
	if err != nil {
		return false
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// Kill ends the server at once, as a crash would. It does nothing if there is
// none.
func (s *Server) Kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Kill() // it may have ended by itself
	<-s.exited
	s.process = nil
}

// String is for messages: where the server is and what it holds.
func (s *Server) String() string { return fmt.Sprintf("%s/%s", s.URL(), s.Bucket) }
