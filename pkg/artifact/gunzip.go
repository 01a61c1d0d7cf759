package artifact

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/gzip"
)

// gunzip makes a file of each member. The comment is the file's path if its
// last component is the name, and otherwise a comment.
func (p *placer) gunzip(content io.Reader) error {
	buffered := bufio.NewReaderSize(content, readBytes) // a member ends where the next begins
	z, err := gzip.NewReader(buffered)
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	for {
		z.Multistream(false)
		text := z.Name
		if path.Base(z.Comment) == z.Name {
			text = z.Comment
		}
		name, err := place(text)
		if err == nil && name == "." {
			err = fmt.Errorf("%w: %q is no file name", ErrUnsafe, text)
		}
		if err != nil {
			return err
		}
		if err := p.file(name, 0o644, z.ModTime, z); err != nil {
			return err
		}
		switch err := z.Reset(buffered); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the archive: %w", err)
		}
	}
}
