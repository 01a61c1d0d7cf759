package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/confine"
)

// A placer makes what an archive holds.
type placer struct {
	ctx    context.Context // of one extraction
	cursor *confine.Cursor
	buffer []byte
	links  []link   // made last: nothing is written through them
	dirs   []folder // whose permissions are set last: they may forbid writing
	done   Extracted
}

type link struct{ target, name string }

type folder struct {
	name string
	perm uint32
}

// maxTarget is the longest target of a symlink that Linux knows.
const maxTarget = 4096

func newPlacer(ctx context.Context, root *confine.Root) *placer {
	return &placer{ctx: ctx, cursor: root.Cursor(), buffer: make([]byte, readBytes)}
}

// place returns an entry's path in the project; "." is the project itself.
func place(name string) (string, error) {
	clean := strings.TrimSuffix(name, "/")
	for strings.HasPrefix(clean, "./") {
		clean = strings.TrimLeft(clean[2:], "/")
	}
	if clean == "" && name != "" && !strings.HasPrefix(name, "/") || clean == "." {
		return ".", nil
	}
	if err := confine.Check(clean); err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrUnsafe, name, err)
	}
	return clean, nil
}

// file makes a file of what r holds.
func (p *placer) file(name string, perm fs.FileMode, modified time.Time, r io.Reader) error {
	f, err := p.create(name)
	if err != nil {
		return blocked(name, err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, &reader{p.ctx, r}, p.buffer)
	if err == nil {
		err = f.Chmod(uint32(perm.Perm()))
	}
	if err == nil && !modified.IsZero() {
		err = f.SetMTime(modified.UnixNano())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("extract %q: %w", name, err)
	}
	p.done.Entries++
	p.done.Bytes += n
	return nil
}

// create makes name a new file in the place of whatever is no folder.
func (p *placer) create(name string) (confine.File, error) {
	if err := p.above(name); err != nil {
		return confine.File{}, err
	}
	f, err := p.cursor.Create(name, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err := p.cursor.Remove(name); err != nil {
			return confine.File{}, err
		}
		f, err = p.cursor.Create(name, 0o600)
	}
	return f, err
}

func (p *placer) above(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	return p.cursor.MkdirAll(dir, 0o755, nil)
}

// folder makes a folder, or keeps the one that is there.
func (p *placer) folder(name string, perm fs.FileMode) error {
	if name == "." {
		return nil // the project's own permissions are not an archive's to set
	}
	if err := p.cursor.MkdirAll(name, 0o755, nil); err != nil {
		return blocked(name, err)
	}
	p.dirs = append(p.dirs, folder{name, uint32(perm.Perm()) | 0o700})
	p.done.Entries++
	return nil
}

// symlink keeps a symlink for the end.
func (p *placer) symlink(target, name string) error {
	if target == "" || len(target) > maxTarget || strings.ContainsRune(target, 0) {
		return fmt.Errorf("%q is a symlink with a target that cannot be", name)
	}
	p.links = append(p.links, link{target, name})
	p.done.Entries++
	return nil
}

// finish makes the symlinks, and gives folders their permissions.
func (p *placer) finish() error {
	for _, l := range p.links {
		if err := p.link(l); err != nil {
			return blocked(l.name, err)
		}
	}
	for _, d := range p.dirs {
		if err := p.cursor.ChmodDir(d.name, d.perm); err != nil {
			return blocked(d.name, err)
		}
	}
	return nil
}

func (p *placer) link(l link) error {
	if err := p.above(l.name); err != nil {
		return err
	}
	err := p.cursor.Symlink(l.target, l.name)
	if errors.Is(err, fs.ErrExist) {
		if err := p.cursor.Remove(l.name); err != nil {
			return err
		}
		err = p.cursor.Symlink(l.target, l.name)
	}
	return err
}

// blocked says what is in an entry's way.
func blocked(name string, err error) error {
	var inTheWay *confine.InTheWayError
	if errors.As(err, &inTheWay) {
		return fmt.Errorf("extract %q: in the project, %w: a symlink is not followed, and a file not replaced by a folder", name, err)
	}
	return fmt.Errorf("extract %q: %w", name, err)
}

// A reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
