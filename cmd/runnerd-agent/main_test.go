package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(secret, []byte("username=u\npassword=p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args   string
		code   int
		stdout string
		stderr string // contained
	}{
		{args: "version", stdout: "dev\n"},
		{args: "credential " + secret + " get", stdout: "username=u\npassword=p\n"},
		{args: "credential " + secret + " store"},
		{args: "credential /nonexistent/file get", code: 1, stderr: "read git's credentials: open /nonexistent/file"},
		{args: "", code: 2, stderr: "usage:"},
		{args: "helper --plan x", code: 2, stderr: "usage:"},
		{args: "build --unknown", code: 2, stderr: "-unknown"},
		{args: "unknown", code: 2, stderr: "usage:"},
	}
	for _, tt := range tests {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), strings.Fields(tt.args), &stdout, &stderr)
		if code != tt.code || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("run(%q) = %d, stdout %q, stderr %q; want %d, %q, %q", tt.args, code, stdout.String(), stderr.String(), tt.code, tt.stdout, tt.stderr)
		}
	}
}

// TestImports keeps the agent small: it goes into every pod.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const own = "github.com/runnerd/runnerd/"
	allowed := []string{
		own + "cmd/runnerd-agent", own + "pkg/agent", own + "pkg/frame", own + "pkg/job", own + "pkg/joblog", own + "pkg/mask",
		own + "pkg/artifact", own + "pkg/httpwait", own + "pkg/cacert", own + "pkg/cache/archive", own + "pkg/confine",
		"github.com/fsnotify/fsnotify", "golang.org/x/sys/unix", "golang.org/x/sync/errgroup",
		// What caches are made of, and nothing that speaks to a store's API.
		"github.com/klauspost/compress", "github.com/klauspost/cpuid/v2", "github.com/zeebo/xxh3",
		"github.com/bmatcuk/doublestar/v4", "github.com/docker/go-units",
		// The operator's proxies, and authorities in the form that Java reads.
		"golang.org/x/net/http/httpproxy", "golang.org/x/net/idna", "golang.org/x/text",
		"software.sslmate.com/src/go-pkcs12", "golang.org/x/crypto/pbkdf2",
	}
	for _, path := range strings.Fields(string(out)) {
		ok := false
		for _, a := range allowed {
			ok = ok || path == a || strings.HasPrefix(path, a+"/")
		}
		if !ok {
			t.Errorf("the agent imports %s", path)
		}
	}
}
