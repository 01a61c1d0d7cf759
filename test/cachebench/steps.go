package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// A step is one thing to measure.
type step struct {
	name string
	run  func(context.Context) (sample, error)
}

// steps are all that is measured, ours and the references.
func (b *bench) steps() []step {
	tarZstd := `tar -C "$TREE" -cf - . | zstd -q -T0 -3 -f -o "$FILE" && curl -sf -H 'If-None-Match: *' -T "$FILE" "$URL"`
	fetch := `curl -sf "$URL" | zstd -q -d | tar -C "$DIR" -xf -`
	return []step{
		{"archive", b.pushing(task{Op: "archive"}, 0, false)},
		{"tar|zstd-1", b.shell(`tar -C "$TREE" -cf - . | zstd -q -T0 -1 > /dev/null`, 0, false)},
		{"tar|zstd-1 bytes", b.weigh},
		{"zip", b.pushing(task{Op: "zip"}, 0, false)},
		{"push", b.pushing(task{Op: "push"}, segments, false)},
		{"tar|zstd-3>PUT", b.shell(tarZstd, 1, false)},
		{"zip>PUT", b.pushing(task{Op: "zip-push"}, 1, false)},
		{"push, shaped", b.pushing(task{Op: "push"}, segments, true)},
		{"tar|zstd-3>PUT, shaped", b.shell(tarZstd, 1, true)},
		{"zip>PUT, shaped", b.pushing(task{Op: "zip-push"}, 1, true)},
		{"restore", b.restoring(task{Op: "restore", Base: b.base})},
		{"restore plain", b.restoring(task{Op: "plain", Base: b.base})},
		{"restore delta", b.restoring(task{Op: "restore", Base: b.base, Delta: b.delta})},
		{"curl|zstd|tar", b.fetching(fetch, false)},
		{"zip restore", b.unzipping()},
		{"restore, shaped", b.restoring(task{Op: "restore", Base: b.slowBase})},
		{"curl|zstd|tar, shaped", b.fetching(fetch, true)},
		{"push same", b.pushingAfter("push-same")},
		{"push 1%", b.pushingAfter("push-changed")},
		{"push recreated", b.pushingAfter("push-recreate")},
	}
}

// weigh measures how large the reference's archive is.
func (b *bench) weigh(ctx context.Context) (sample, error) {
	s, err := shell(ctx, `tar -C "$TREE" -cf - . | zstd -q -T0 -1 > "$FILE"`, "TREE="+b.tree, "FILE="+b.file())
	if err != nil {
		return s, err
	}
	info, err := os.Stat(b.file())
	if err != nil {
		return s, err
	}
	s.Bytes = info.Size()
	return s, os.Remove(b.file())
}

// pushing measures a task that stores n objects.
func (b *bench) pushing(t task, n int, slow bool) func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		prefix, urls, err := b.store.place(ctx, n, slow)
		if err != nil {
			return sample{}, err
		}
		t := t
		t.Dir, t.File, t.URLs, t.Headers, t.Profile = b.tree, b.file(), urls, once, b.profile(t.Op)
		s, err := spawn(ctx, t)
		_ = os.Remove(t.File) // only some make one
		return s, firstError(err, b.store.remove(ctx, prefix))
	}
}

// shell measures a pipeline that stores n objects.
func (b *bench) shell(script string, n int, slow bool) func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		prefix, urls, err := b.store.place(ctx, n, slow)
		if err != nil {
			return sample{}, err
		}
		env := []string{"TREE=" + b.tree, "FILE=" + b.file()}
		if n > 0 {
			env = append(env, "URL="+urls[0])
		}
		s, err := shell(ctx, script, env...)
		_ = os.Remove(b.file()) // only some make one
		return s, firstError(err, b.store.remove(ctx, prefix))
	}
}

// restoring measures a restore into a new folder.
func (b *bench) restoring(t task) func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		return b.into(func(dir string) (sample, error) {
			t := t
			t.Dir = dir
			t.Profile = b.profile(t.Op)
			return spawn(ctx, t)
		})
	}
}

func (b *bench) into(do func(dir string) (sample, error)) (sample, error) {
	dir, err := empty(b.dir, "restored")
	if err != nil {
		return sample{}, err
	}
	s, err := do(dir)
	return s, firstError(err, os.RemoveAll(dir))
}

func (b *bench) fetching(script string, slow bool) func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		urls, err := b.store.read(ctx, b.tarball, 1, slow)
		if err != nil {
			return sample{}, err
		}
		return b.into(func(dir string) (sample, error) { return shell(ctx, script, "DIR="+dir, "URL="+urls[0]) })
	}
}

func (b *bench) unzipping() func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		urls, err := b.store.read(ctx, b.zipball, 1, false)
		if err != nil {
			return sample{}, err
		}
		s, err := b.into(func(dir string) (sample, error) {
			return spawn(ctx, task{Op: "zip-restore", Dir: dir, File: b.file(), URLs: urls})
		})
		return s, firstError(err, os.Remove(b.file()))
	}
}

// pushingAfter measures the push of a restored tree.
func (b *bench) pushingAfter(op string) func(context.Context) (sample, error) {
	return func(ctx context.Context) (sample, error) {
		prefix, urls, err := b.store.place(ctx, segments, false)
		if err != nil {
			return sample{}, err
		}
		s, err := b.into(func(dir string) (sample, error) {
			return spawn(ctx, task{Op: op, Dir: dir, Base: b.base, URLs: urls, Headers: once, Seed: uint64(b.store.next), Profile: b.profile(op)})
		})
		return s, firstError(err, b.store.remove(ctx, prefix))
	}
}

// profile names a file for a CPU profile where one operation is looked at.
func (b *bench) profile(op string) string {
	if b.only == "" {
		return ""
	}
	return filepath.Join(b.dir, fmt.Sprintf("%s.pprof", op))
}
