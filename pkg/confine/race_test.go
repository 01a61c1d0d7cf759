package confine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/confine"
)

// While Cursors work in a folder, somebody exchanges it for a symlink to a
// folder outside, again and again, at the first and at the last component.
func TestExchangedFolderLeadsNowhere(t *testing.T) {
	const rounds = 500
	outside := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(outside, "b"), 0o755))
	must(t, os.WriteFile(filepath.Join(outside, "b", "f"), []byte("secret"), 0o644))
	must(t, os.WriteFile(filepath.Join(outside, "f"), []byte("secret"), 0o644))
	before := snapshot(t, outside)

	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a", "b", "f"), []byte("inside"), 0o644))
	must(t, os.Symlink(outside, filepath.Join(dir, "evil")))
	must(t, os.Symlink(filepath.Join(outside, "b"), filepath.Join(dir, "a", "evil")))
	root, err := confine.Open(dir)
	must(t, err)
	defer root.Close()

	var running, ready sync.WaitGroup
	ready.Add(2)
	// Through handles: with paths the exchange itself would be led outside.
	exchange := func(folder, one, other string) {
		fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		ready.Done()
		ready.Wait()
		for range 2 * rounds { // an even number: all is back in its place
			if err := unix.Renameat2(fd, one, fd, other, unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("exchange: %v", err)
				return
			}
		}
	}
	running.Go(func() { exchange(dir, "a", "evil") })
	running.Go(func() { exchange(filepath.Join(dir, "a"), "b", "evil") })
	for worker := range 2 {
		running.Go(func() {
			ready.Wait()
			c := root.Cursor()
			defer c.Close()
			for i := range rounds {
				work(t, c, fmt.Sprintf("a/b/new-%d-%d", worker, i))
			}
		})
	}
	running.Wait()
	if got, err := os.ReadFile(filepath.Join(dir, "a", "b", "f")); string(got) != "inside" || err != nil {
		t.Errorf("the file inside is %q, %v", got, err)
	}
	if diff := cmp.Diff(before, snapshot(t, outside)); diff != "" {
		t.Errorf("outside has changed (-before +after):\n%s", diff)
	}
}

// work does what it can; that a symlink is in the way is expected.
func work(t *testing.T, c *confine.Cursor, name string) {
	c.Forget()
	if f, _, err := c.Open("a/b/f"); err == nil {
		buf := make([]byte, 16)
		if n, _ := f.Read(buf); string(buf[:n]) != "inside" {
			t.Errorf("read %q", buf[:n])
		}
		_ = f.Close()
	}
	_ = c.MkdirAll(name+"-folder", 0o755, nil)
	_ = c.RemoveDir(name + "-folder")
	if f, err := c.Create(name, 0o644); err == nil {
		_, _ = f.Write([]byte("new"))
		_ = f.Close()
	}
	_ = c.SetMTime("a/b/f", 1)
	_ = c.ChmodDir("a/b", 0o700)
	_ = c.Rename(name, name+"-moved")
	_ = c.Remove(name + "-moved")
	c.Forget()
	_ = c.Symlink("x", name+"-link")
	_ = c.Link("a/b/f", name+"-hard")
	_ = c.Remove(name + "-link")
	_ = c.Remove(name + "-hard")
}
