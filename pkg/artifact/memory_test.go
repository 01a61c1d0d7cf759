package artifact_test

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/artifact"
)

// Files of more than zip's old 4 GiB, and many others, go through a heap of a
// few megabytes.
func TestLargeArtifact(t *testing.T) {
	const limit = 24 << 20
	s := &site{t: t, dir: t.TempDir()}
	s.write("big", "")
	must(t, os.Truncate(s.path("big"), largeFile))
	for i := range 200 {
		s.write(fmt.Sprintf("small/%03d", i), fmt.Sprint(i))
	}
	s.open()
	received := s.receive(func() {})
	client, entries := s.newClient(received.url), s.collect("*").Entries
	peak := watchHeap(t)
	began := time.Now()
	sent, err := client.Upload(t.Context(), s.root, artifact.Upload{
		JobID: 1, Token: "t", FileName: "f.zip", Format: artifact.Zip, Level: "fastest", Entries: entries,
	})
	took, most := time.Since(began), peak()
	must(t, err)
	t.Logf("%d bytes of files, %d of archive, in %v; heap %d KiB at most", int64(largeFile), sent.Bytes, took, most>>10)
	if most > limit {
		t.Errorf("the heap grew to %d bytes, want %d at most", most, limit)
	}
	z := received.zip()
	if n := z.File[0].UncompressedSize64; n != largeFile || len(z.File) != 202 {
		t.Errorf("%d entries, the first of %d bytes", len(z.File), n)
	}
	must(t, readAll(z))
}

// An archive comes back without being held in memory.
func TestExtractLargeFile(t *testing.T) {
	const limit, size = 24 << 20, 300 << 20
	s := &site{t: t, dir: t.TempDir()}
	s.write("big", "")
	must(t, os.Truncate(s.path("big"), size))
	s.open()
	received := s.receive(func() {})
	sent, err := s.newClient(received.url).Upload(t.Context(), s.root, artifact.Upload{
		JobID: 1, Token: "t", FileName: "f.zip", Format: artifact.Zip, Level: "fastest", Entries: s.collect("*").Entries,
	})
	must(t, err)
	back := &site{t: t, dir: t.TempDir()}
	back.open()
	peak := watchHeap(t)
	made, err := artifact.Extract(t.Context(), back.root, received.file, sent.Bytes)
	most := peak()
	must(t, err)
	if made.Bytes != size || made.Entries != 1 || most > limit {
		t.Errorf("extracted %+v with a heap of %d bytes", made, most)
	}
}

// watchHeap measures the heap until the function that it returns is called,
// which says by how much it has grown at most.
func watchHeap(t *testing.T) func() uint64 {
	t.Helper()
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			if now.HeapAlloc > before.HeapAlloc {
				most.Store(max(most.Load(), now.HeapAlloc-before.HeapAlloc))
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return most.Load()
	}
}
