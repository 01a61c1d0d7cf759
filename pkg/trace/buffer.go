package trace

import (
	"fmt"
	"os"
)

// A buffer holds the unconfirmed bytes of a log: the first ones in memory, the
// rest in a file that has no name any more. It costs nothing while it is empty.
//
// Bytes that were handed out are never overwritten: an HTTP transport may still
// read them after the call is over.
type buffer struct {
	memory int    // most bytes in memory
	disk   int64  // most bytes in the file, those already read included; below 0 none
	dir    string // of the file

	head  []byte // the bytes from start on
	start int64  // offset in the log of the first byte
	file  *os.File
	read  int64 // bytes of the file that are confirmed
	size  int64 // bytes in the file
}

// end returns the offset behind the last byte.
func (b *buffer) end() int64 { return b.start + int64(len(b.head)) + b.size - b.read }

func (b *buffer) empty() bool { return b.end() == b.start }

// add appends what it has room for of p, which stands at offset in the log, and
// returns how much that was. An error says why the file cannot take more; the
// next call tries again.
func (b *buffer) add(offset int64, p []byte) (int, error) {
	if b.empty() {
		b.start = offset
	}
	n := 0
	if b.file == nil {
		n = min(len(p), b.memory-len(b.head))
		b.head = append(b.head, p[:n]...)
	}
	rest := p[n:]
	rest = rest[:max(min(int64(len(rest)), b.disk-b.size), 0)]
	if len(rest) == 0 {
		return n, nil
	}
	written, err := b.spill(rest)
	return n + written, err
}

func (b *buffer) spill(p []byte) (int, error) {
	if b.file == nil {
		f, err := os.CreateTemp(b.dir, "runnerd-log-*")
		if err != nil {
			return 0, err
		}
		if err := os.Remove(f.Name()); err != nil {
			_ = f.Close()
			return 0, err
		}
		b.file = f
	}
	n, err := b.file.WriteAt(p, b.size)
	b.size += int64(n)
	return n, err
}

// chunk returns up to most bytes from start on.
func (b *buffer) chunk(most int) ([]byte, error) {
	if len(b.head) >= most || b.file == nil {
		return b.head[:min(len(b.head), most):min(len(b.head), most)], nil
	}
	out := make([]byte, min(int64(most), b.end()-b.start))
	n := copy(out, b.head)
	if _, err := b.file.ReadAt(out[n:], b.read); err != nil {
		return nil, fmt.Errorf("read log from its temporary file: %w", err)
	}
	return out, nil
}

// drop forgets the bytes before offset.
func (b *buffer) drop(offset int64) {
	n := min(max(offset-b.start, 0), b.end()-b.start)
	b.start += n
	head := min(n, int64(len(b.head)))
	b.head = b.head[head:]
	b.read += n - head
	if len(b.head) == 0 {
		b.head = nil
	}
	if b.file != nil && b.read == b.size {
		b.closeFile()
	}
}

// release gives everything back.
func (b *buffer) release() {
	b.head = nil
	b.closeFile()
}

func (b *buffer) closeFile() {
	if b.file != nil {
		_ = b.file.Close() // it has no name, so nothing is left
	}
	b.file, b.read, b.size = nil, 0, 0
}
