package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/transfer"
	"github.com/runnerd/runnerd/pkg/cache/archive/unpack"
)

// restorePlain is the restore as it would be if archives could be trusted: the
// same segments, workers and decoder, with full paths and no checks of names.
func restorePlain(ctx context.Context, t task) (outcome, error) {
	m, err := start()
	if err != nil {
		return outcome{}, err
	}
	client, err := transfer.NewClient(transfer.Options{})
	if err != nil {
		return outcome{}, err
	}
	defer client.Close()
	base, err := t.Base.unpackable(client)
	if err != nil {
		return outcome{}, err
	}
	workers := runtime.GOMAXPROCS(0)
	decoder, err := archive.NewDecoder(workers)
	if err != nil {
		return outcome{}, err
	}
	defer decoder.Close()
	p := &plain{dir: t.Dir, decoder: decoder, folders: map[string]bool{}, large: map[uint32]*os.File{}}
	if err := p.run(ctx, base, workers); err != nil {
		return outcome{}, err
	}
	if err := p.finish(); err != nil {
		return outcome{}, err
	}
	return m.stop(outcome{Bytes: total(t.Base)})
}

type plain struct {
	dir     string
	decoder *archive.Decoder

	mu      sync.Mutex
	folders map[string]bool
	large   map[uint32]*os.File
	waiting []piece // of files whose head is still to come
	times   []dated // of folders and large files, for the end
}

type piece struct {
	a    archive.Announce
	body []byte
}

type dated struct {
	path string
	time time.Time
}

func (p *plain) run(ctx context.Context, l unpack.Layer, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	segments := make(chan []byte)
	group.Go(func() error {
		defer close(segments)
		gets, ctx := errgroup.WithContext(ctx)
		gets.SetLimit(4)
		for n, s := range l.Segments {
			gets.Go(func() error {
				buf := make([]byte, s.Bytes)
				if err := l.Source.Get(ctx, n, buf); err != nil {
					return err
				}
				select {
				case segments <- buf:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}
		return gets.Wait()
	})
	for range workers {
		group.Go(func() error {
			var raw []byte
			for segment := range segments {
				for len(segment) > 0 {
					a, body, rest, err := archive.Next(segment)
					if err != nil {
						return err
					}
					segment = rest
					if raw, err = p.record(raw, a, body); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (p *plain) record(raw []byte, a archive.Announce, body []byte) ([]byte, error) {
	switch a.Kind {
	case archive.KindControl, archive.KindEnd:
		return raw, nil
	case archive.KindCont:
		p.mu.Lock()
		file := p.large[a.Ordinal]
		if file == nil {
			p.waiting = append(p.waiting, piece{a, body})
		}
		p.mu.Unlock()
		if file == nil {
			return raw, nil
		}
		raw, err := p.decoder.Decode(raw, a, body)
		if err != nil {
			return raw, err
		}
		_, err = file.WriteAt(raw, int64(a.Offset))
		return raw, err
	}
	raw, err := p.decoder.Decode(raw, a, body)
	if err != nil {
		return raw, err
	}
	return raw, p.entries(a, raw)
}

func (p *plain) entries(a archive.Announce, raw []byte) error {
	in := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(p.dir, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = p.folder(path)
			p.later(path, h.ModTime)
		case tar.TypeSymlink:
			if err = p.folder(filepath.Dir(path)); err == nil {
				err = os.Symlink(h.Linkname, path)
			}
		default:
			if a.Kind == archive.KindHead {
				return p.head(a, h, path, in)
			}
			err = p.file(h, path, in)
		}
		if err != nil {
			return err
		}
	}
}

func (p *plain) file(h *tar.Header, path string, in io.Reader) error {
	if err := p.folder(filepath.Dir(path)); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, h.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return firstError(err, out.Close(), os.Chtimes(path, time.Time{}, h.ModTime))
}

func (p *plain) head(a archive.Announce, h *tar.Header, path string, in io.Reader) error {
	if err := p.folder(filepath.Dir(path)); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, h.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	if err := out.Truncate(h.Size); err != nil {
		return err
	}
	// The record ends before the file does.
	if _, err := io.Copy(out, in); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.large[a.Ordinal] = out
	p.times = append(p.times, dated{path, h.ModTime})
	return nil
}

func (p *plain) folder(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.folders[path] {
		return nil
	}
	p.folders[path] = true
	return os.MkdirAll(path, 0o755)
}

func (p *plain) later(path string, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.times = append(p.times, dated{path, t})
}

func (p *plain) finish() error {
	for _, w := range p.waiting {
		raw, err := p.decoder.Decode(nil, w.a, w.body)
		if err != nil {
			return err
		}
		if _, err := p.large[w.a.Ordinal].WriteAt(raw, int64(w.a.Offset)); err != nil {
			return err
		}
	}
	for _, f := range p.large {
		if err := f.Close(); err != nil {
			return err
		}
	}
	for _, d := range p.times {
		if err := os.Chtimes(d.path, time.Time{}, d.time); err != nil {
			return err
		}
	}
	return nil
}
