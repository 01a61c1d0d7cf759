package confine_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// benchTree are the paths of 2,000 files in 200 folders, five levels deep.
func benchTree() (folders, files []string) {
	for i := range 200 {
		folder := fmt.Sprintf("node_modules/@scope%02d/package%03d/lib/internal", i/10, i)
		folders = append(folders, folder)
		for j := range 10 {
			files = append(files, fmt.Sprintf("%s/file%d.js", folder, j))
		}
	}
	return folders, files
}

var (
	content = make([]byte, 2000)
	mtime   = time.Unix(0, 1_700_000_000_000_000_001)
)

// The same work confined and with plain paths: make folders, write and close
// files, look at them, read them.

func BenchmarkConfined(b *testing.B) {
	folders, files := benchTree()
	for b.Loop() {
		c := open(b, b.TempDir())
		for _, name := range folders {
			must(b, c.MkdirAll(name, 0o755, nil))
		}
		for _, name := range files {
			f, err := c.Create(name, 0o644)
			must(b, err)
			_, err = f.Write(content)
			must(b, err)
			must(b, f.SetMTime(1_700_000_000_000_000_001))
			must(b, f.Close())
		}
		for _, name := range files {
			_, err := c.Lstat(name)
			must(b, err)
			f, st, err := c.Open(name)
			must(b, err)
			_, err = io.ReadFull(f, content[:st.Size])
			must(b, err)
			must(b, f.Close())
		}
	}
}

func BenchmarkPlain(b *testing.B) {
	folders, files := benchTree()
	for b.Loop() {
		dir := b.TempDir()
		for _, name := range folders {
			must(b, os.MkdirAll(filepath.Join(dir, name), 0o755))
		}
		for _, name := range files {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			must(b, err)
			_, err = f.Write(content)
			must(b, err)
			must(b, f.Close())
			must(b, os.Chtimes(filepath.Join(dir, name), mtime, mtime))
		}
		for _, name := range files {
			_, err := os.Lstat(filepath.Join(dir, name))
			must(b, err)
			f, err := os.Open(filepath.Join(dir, name))
			must(b, err)
			st, err := f.Stat()
			must(b, err)
			_, err = io.ReadFull(f, content[:st.Size()])
			must(b, err)
			must(b, f.Close())
		}
	}
}
