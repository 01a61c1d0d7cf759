package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/runnerd/runnerd/internal/treegen"
)

// A bench is one run: the store, the tree, and what has been measured.
type bench struct {
	options
	store *store
	tree  string
	turns []map[string][]sample // by the step's name

	base, slowBase   *layer // of the tree
	delta            *layer // 1 % changed
	tarball, zipball string // prefixes of single objects with the tree
}

// segments is how many URLs a push gets; more than the tree needs.
const segments = 96

func measure(ctx context.Context, o options) error {
	b := &bench{options: o, tree: filepath.Join(o.dir, "tree")}
	for _, old := range []string{b.tree, filepath.Join(o.dir, "minio")} {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	if _, err := spawn(ctx, task{Op: "generate", Dir: b.tree, Scale: o.scale}); err != nil {
		return err
	}
	var err error
	if b.store, err = startStore(ctx, o.minio, o.dir); err != nil {
		if b.store != nil {
			b.store.close()
		}
		return err
	}
	defer b.store.close()
	if err := b.fill(ctx); err != nil {
		return err
	}
	missed, err := b.turn(ctx, b.wanted())
	if err != nil {
		return err
	}
	if len(missed) > 0 {
		// One disturbed run is no verdict.
		fmt.Println("missed, and measured once more:", strings.Join(missed, ", "))
		second, err := b.turn(ctx, b.stepsOf(missed))
		if err != nil {
			return err
		}
		missed = slices.DeleteFunc(missed, func(id string) bool { return !slices.Contains(second, id) })
	}
	if len(missed) > 0 {
		return fmt.Errorf("missed twice: %s", strings.Join(missed, ", "))
	}
	return nil
}

// stepsOf returns what the targets with these ids compare.
func (b *bench) stepsOf(ids []string) []step {
	var names []string
	for _, t := range targets {
		if slices.Contains(ids, t.id) {
			names = append(names, t.steps()...)
		}
	}
	return slices.DeleteFunc(b.steps(), func(s step) bool { return !slices.Contains(names, s.name) })
}

// turn measures everything, one operation after the other in each round, in an
// order that rotates, and prints the table. It returns the targets missed.
func (b *bench) turn(ctx context.Context, list []step) ([]string, error) {
	samples := map[string][]sample{}
	b.turns = append(b.turns, samples)
	for round := range b.rounds {
		fmt.Printf("round %d of %d:", round+1, b.rounds)
		for i := range list {
			s := list[(i+round)%len(list)]
			sample, err := s.run(ctx)
			if err != nil {
				fmt.Println()
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			samples[s.name] = append(samples[s.name], sample)
			fmt.Printf(" %s %.2f", s.name, sample.seconds)
		}
		fmt.Println()
	}
	return b.report()
}

// latest returns the samples of the last turn that has measured all of these
// steps: what is compared has run in the same minutes. nil: there was none.
func (b *bench) latest(names ...string) map[string][]sample {
	for _, samples := range slices.Backward(b.turns) {
		if !slices.ContainsFunc(names, func(name string) bool { return len(samples[name]) == 0 }) {
			return samples
		}
	}
	return nil
}

func (b *bench) wanted() []step {
	list := b.steps()
	if b.only == "" {
		return list
	}
	names := strings.Split(b.only, ",")
	return slices.DeleteFunc(list, func(s step) bool { return !slices.Contains(names, s.name) })
}

// fill stores what restores read.
func (b *bench) fill(ctx context.Context) error {
	var err error
	if b.base, err = b.keep(ctx, task{Op: "push", Dir: b.tree}); err != nil {
		return err
	}
	slow := *b.base
	if slow.URLs, err = b.store.read(ctx, fmt.Sprintf("layer-%d/", b.store.next), len(slow.Bytes), true); err != nil {
		return err
	}
	b.slowBase = &slow
	dir, err := empty(b.dir, "restored")
	if err != nil {
		return err
	}
	if b.delta, err = b.keep(ctx, task{Op: "push-changed", Dir: dir, Base: b.base, Seed: 1}); err != nil {
		return err
	}
	if err := firstError(os.RemoveAll(dir), b.prove(ctx)); err != nil {
		return err
	}
	if b.tarball, err = b.upload(ctx, `tar -C "$TREE" -cf - . | zstd -q -T0 -3 -f -o "$FILE" && curl -sf -H 'If-None-Match: *' -T "$FILE" "$URL" && rm "$FILE"`); err != nil {
		return err
	}
	prefix, urls, err := b.store.place(ctx, 1, false)
	b.zipball = prefix
	if err != nil {
		return err
	}
	_, err = spawn(ctx, task{Op: "zip-push", Dir: b.tree, File: b.file(), URLs: urls, Headers: once})
	return firstError(err, os.Remove(b.file()))
}

// prove checks that what is measured is a restore: the same files.
func (b *bench) prove(ctx context.Context) error {
	want, err := treegen.Digest(b.tree)
	if err != nil {
		return err
	}
	for _, op := range []string{"restore", "plain"} {
		_, err := b.into(func(dir string) (sample, error) {
			s, err := spawn(ctx, task{Op: op, Dir: dir, Base: b.base})
			if err != nil {
				return s, err
			}
			got, err := treegen.Digest(dir)
			if err == nil && got != want {
				err = fmt.Errorf("%s: the tree is not what was pushed", op)
			}
			return s, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keep pushes a layer and returns it with URLs to read it.
func (b *bench) keep(ctx context.Context, t task) (*layer, error) {
	prefix, urls, err := b.store.place(ctx, segments, false)
	if err != nil {
		return nil, err
	}
	t.URLs, t.Headers = urls, once
	s, err := spawn(ctx, t)
	if err != nil {
		return nil, err
	}
	s.Layer.URLs, err = b.store.read(ctx, prefix, len(s.Layer.Bytes), false)
	return s.Layer, err
}

func (b *bench) upload(ctx context.Context, script string) (string, error) {
	prefix, urls, err := b.store.place(ctx, 1, false)
	if err != nil {
		return "", err
	}
	_, err = shell(ctx, script, "TREE="+b.tree, "FILE="+b.file(), "URL="+urls[0])
	return prefix, err
}

func (b *bench) file() string { return filepath.Join(b.dir, "archive.tmp") }
