package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

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
			spool := &tail{share: share, out: &out}
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
	spool := &tail{share: share, out: &out}
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
