package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/runnerd/runnerd/pkg/confine"
)

// ErrUnsafe is an archive with an entry that leads out of the project. Nothing
// of such a zip archive is extracted.
var ErrUnsafe = errors.New("the archive has an entry that leads out of the project directory")

// Extracted tells what an archive has become.
type Extracted struct {
	Entries int
	Bytes   int64 // of files
	Skipped int   // entries that are neither files nor folders nor links
}

// Extract makes files below root of an archive, whatever its type. What is there
// already is replaced; it never follows a symlink.
func Extract(ctx context.Context, root *confine.Root, file *os.File, size int64) (Extracted, error) {
	p := newPlacer(ctx, root)
	defer p.cursor.Close()
	err := p.extract(file, size)
	if err == nil {
		err = p.finish()
	}
	return p.done, err
}

var (
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	gzipMagic = []byte{0x1f, 0x8b}
)

func (p *placer) extract(file *os.File, size int64) error {
	head := make([]byte, len(zstdMagic))
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the archive: %w", err)
	}
	head = head[:n]
	content := io.NewSectionReader(file, 0, size)
	switch {
	case len(head) == 0:
		return errors.New("the archive is empty")
	case bytes.HasPrefix(head, zstdMagic):
		return p.untar(content)
	case bytes.HasPrefix(head, gzipMagic):
		return p.gunzip(content)
	}
	return p.unzip(content, size)
}
