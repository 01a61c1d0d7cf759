package artifact

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the most that a zstd archive may want to look back, and so the
// memory that it takes.
const maxWindow = 128 << 20

// untar extracts a tar archive that zstd has compressed.
func (p *placer) untar(content io.Reader) error {
	z, err := zstd.NewReader(content, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer z.Close()
	for t := tar.NewReader(z); ; {
		header, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, tar.ErrInsecurePath): // which names are safe is decided below
			return fmt.Errorf("read the archive: %w", err)
		}
		name, err := place(header.Name)
		if err != nil {
			return err
		}
		if err := p.untarEntry(name, header, t); err != nil {
			return err
		}
	}
}

func (p *placer) untarEntry(name string, header *tar.Header, content io.Reader) error {
	mode := header.FileInfo().Mode()
	switch {
	case header.Typeflag == tar.TypeDir:
		return p.folder(name, mode)
	case name == ".":
		return fmt.Errorf("%w: %q is no folder", ErrUnsafe, header.Name)
	case header.Typeflag == tar.TypeReg:
		return p.file(name, mode, header.ModTime, content)
	case header.Typeflag == tar.TypeSymlink:
		return p.symlink(header.Linkname, name)
	case header.Typeflag == tar.TypeLink:
		return p.hardlink(header.Linkname, name)
	}
	p.done.Skipped++
	return nil
}

// hardlink makes name another name of an entry in front of it.
func (p *placer) hardlink(target, name string) error {
	old, err := place(target)
	if err != nil {
		return err
	}
	f, err := p.create(name) // makes room
	if err != nil {
		return blocked(name, err)
	}
	if err := errors.Join(f.Close(), p.cursor.Remove(name), p.cursor.Link(old, name)); err != nil {
		return blocked(name, err)
	}
	p.done.Entries++
	return nil
}
