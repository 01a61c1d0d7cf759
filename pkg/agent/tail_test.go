package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
)

// A plainSink takes everything.
type plainSink struct{ *bytes.Buffer }

func (plainSink) Full() bool     { return false }
func (plainSink) LeaveOut(int64) {}

// TestTailBelievesNothing: a script can put anything in the spool's place.
func TestTailBelievesNothing(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		put  func(path string) error
	}{
		{name: "link out of the directory", put: func(path string) error { return os.Symlink(secret, path) }},
		{name: "named pipe", put: func(path string) error { return syscall.Mkfifo(path, 0o666) }},
		{name: "directory", put: func(path string) error { return os.Mkdir(path, 0o777) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			share, err := createHandover(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer share.Close()
			if err := tt.put(filepath.Join(share.path, spoolFile(0))); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			spool := &tail{share: share, out: plainSink{&out}}
			defer spool.Close()
			if _, err := spool.copy(); err == nil || out.Len() > 0 {
				t.Errorf("copied %q, error %v; want an error", out.String(), err)
			}
		})
	}
}

func TestTailFreesWhatItHasRead(t *testing.T) {
	share, err := createHandover(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer share.Close()
	text := strings.Repeat("0123456789abcde\n", 4<<20/16)
	if err := share.root.WriteFile(spoolFile(0), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	spool := &tail{share: share, out: plainSink{&out}}
	defer spool.Close()
	if err := spool.copyRest(); err != nil || out.String() != text {
		t.Errorf("copied %d bytes, %v; want %d", out.Len(), err, len(text))
	}
	info, err := spool.file.Stat()
	if err != nil || info.Size() != int64(len(text)) {
		t.Errorf("size %d, %v; want it unchanged", info.Size(), err)
	}
	t.Logf("%d of %d bytes are still on disk", info.Sys().(*syscall.Stat_t).Blocks*512, len(text))
}

// TestTailOfAFullLog: the log's end is the output's end, whatever was left out
// before it, and no part of a secret is read that the gap has cut.
func TestTailOfAFullLog(t *testing.T) {
	share, err := createHandover(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer share.Close()
	secret := strings.Repeat("s3cret", 1000)
	text := strings.Repeat(secret+"\n", 12<<20/(len(secret)+1)) + strings.Repeat("0123456789abcde\n", 4096) + "the end\n"
	if err := share.root.WriteFile(spoolFile(0), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := joblog.New(&out, joblog.Options{LogOptions: job.LogOptions{LimitBytes: 64 << 10, Masks: []string{secret}}})
	log.Write(bytes.Repeat([]byte("x\n"), 64<<10))
	spool := &tail{share: share, out: log}
	defer spool.Close()
	if err := spool.copyRest(); err != nil {
		t.Fatal(err)
	}
	if spool.read != int64(len(text)) {
		t.Errorf("%d of %d bytes were read or left out", spool.read, len(text))
	}
	log.EndOutput()
	if got := out.String(); !strings.HasSuffix(got, "0123456789abcde\nthe end\n") || strings.Contains(got, "s3cret") {
		t.Errorf("log ends with %q", got[max(0, len(got)-2000):])
	}
}

// TestGapInASecret: what a gap leaves of a secret is not shown.
func TestGapInASecret(t *testing.T) {
	var out bytes.Buffer
	secret := strings.Repeat("0123456789", 20<<10)
	log := joblog.New(&out, joblog.Options{LogOptions: job.LogOptions{LimitBytes: 1 << 20, Masks: []string{secret}}})
	log.Write(bytes.Repeat([]byte("x\n"), 1<<20))
	log.LeaveOut(1000)
	log.Write([]byte(secret[100<<10:] + "\nthe end\n" + strings.Repeat("y\n", 1<<20) + "last\n"))
	log.EndOutput()
	if got := out.String(); strings.Contains(got, "0123456789") || !strings.HasSuffix(got, "y\ny\nlast\n") {
		t.Errorf("log of %d bytes ends with %q", len(got), got[max(0, len(got)-200):])
	}
}
