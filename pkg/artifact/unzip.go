package artifact

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// unzip extracts a zip archive. All of its names are looked at before the first
// file is made.
func (p *placer) unzip(content io.ReaderAt, size int64) error {
	z, err := zip.NewReader(content, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // which names are safe is decided below
		return fmt.Errorf("read the archive: it is neither zip nor gzip nor zstd: %w", err)
	}
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)))
	names := make([]string, len(z.File))
	for i, f := range z.File {
		if names[i], err = place(f.Name); err != nil {
			return err
		}
	}
	for i, f := range z.File {
		if err := p.unzipEntry(names[i], f); err != nil {
			return err
		}
	}
	return nil
}

func (p *placer) unzipEntry(name string, f *zip.File) error {
	mode := f.Mode()
	switch {
	case mode.IsDir():
		return p.folder(name, orDefault(mode, 0o755))
	case name == ".":
		return fmt.Errorf("%w: %q is a file", ErrUnsafe, f.Name)
	case mode&fs.ModeSymlink == 0 && !mode.IsRegular():
		p.done.Skipped++
		return nil
	}
	content, err := f.Open()
	if err != nil {
		return fmt.Errorf("read %q in the archive: %w", f.Name, err)
	}
	defer content.Close()
	if mode&fs.ModeSymlink == 0 {
		return p.file(name, orDefault(mode, 0o644), f.Modified, content)
	}
	target, err := io.ReadAll(io.LimitReader(content, maxTarget+1))
	if err != nil {
		return fmt.Errorf("read %q in the archive: %w", f.Name, err)
	}
	return p.symlink(string(target), name)
}

// orDefault replaces the permissions of entries that have none.
func orDefault(mode, perm fs.FileMode) fs.FileMode {
	if mode.Perm() == 0 {
		return perm
	}
	return mode.Perm()
}
