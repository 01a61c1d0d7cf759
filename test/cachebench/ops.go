package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"

	"github.com/runnerd/runnerd/internal/treegen"
	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/pack"
	"github.com/runnerd/runnerd/pkg/cache/archive/transfer"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/cache/archive/unpack"
	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/job"
)

// operations by name.
var operations = map[string]func(context.Context, task) (outcome, error){
	"generate":      generate,
	"archive":       archiveOnly,
	"push":          push,
	"restore":       restore,
	"plain":         restorePlain,
	"push-same":     pushAfter(func(task) error { return nil }),
	"push-changed":  pushAfter(mutate),
	"push-recreate": pushAfter(func(t task) error { return firstError(treegen.Recreate(t.Dir), mutate(t)) }),
	"zip":           zipOnly,
	"zip-push":      zipPush,
	"zip-restore":   zipRestore,
}

// perform carries out the task in file and prints its outcome.
func perform(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	do, ok := operations[t.Op]
	if !ok {
		return fmt.Errorf("no operation %q", t.Op)
	}
	if t.Profile != "" {
		file, err := os.Create(t.Profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	debug.SetMemoryLimit(softLimit)
	o, err := do(ctx, t)
	if err != nil {
		return err
	}
	if o.Memory == 0 {
		if o.Memory, err = peak(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// softLimit is the agent's on a machine without limits.
const softLimit = 256 << 20

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func generate(_ context.Context, t task) (outcome, error) {
	totals, err := treegen.Generate(t.Dir, 1, t.Scale)
	fmt.Fprintf(os.Stderr, "tree: %d files, %d folders, %d symlinks, %.1f MB\n", totals.Files, totals.Dirs, totals.Symlinks, float64(totals.Bytes)/1e6)
	return outcome{}, err
}

func mutate(t task) error {
	_, err := treegen.Mutate(t.Dir, t.Seed, 0.01)
	return err
}

// packing is how the agent packs, on this machine.
func packing() pack.Options {
	o := pack.OptionsFor(0, runtime.GOMAXPROCS(0))
	o.Level = archive.Fastest
	o.SegmentBytes = job.SegmentBytes
	return o
}

type nowhere struct{}

func (nowhere) Put(context.Context, int, []byte, [32]byte) error { return nil }

// whole finds all files of a tree.
func whole(ctx context.Context, dir string) (*confine.Root, *tree.Listing, error) {
	root, err := confine.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	files, err := tree.Collect(ctx, root, tree.Selection{Patterns: []string{"."}, ProjectDir: dir})
	return root, files, err
}

func archiveOnly(ctx context.Context, t task) (outcome, error) {
	root, files, err := whole(ctx, t.Dir)
	if err != nil {
		return outcome{}, err
	}
	defer root.Close()
	r, err := pack.Layer(ctx, root, files.Entries, archive.Control{Version: archive.Version}, nowhere{}, packing())
	return outcome{Bytes: r.Bytes()}, err
}

func push(ctx context.Context, t task) (outcome, error) {
	m, err := start()
	if err != nil {
		return outcome{}, err
	}
	root, files, err := whole(ctx, t.Dir)
	if err != nil {
		return outcome{}, err
	}
	defer root.Close()
	l, err := send(ctx, t, root, files.Entries, archive.Control{Version: archive.Version})
	if err != nil {
		return outcome{}, err
	}
	return m.stop(outcome{Bytes: total(l), Layer: l})
}

func send(ctx context.Context, t task, root *confine.Root, entries []tree.Entry, control archive.Control) (*layer, error) {
	client, err := transfer.NewClient(transfer.Options{})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	r, err := pack.Layer(ctx, root, entries, control, client.Sink(t.URLs, t.Headers), packing())
	if err != nil {
		return nil, err
	}
	if r.Dirty != "" {
		return nil, fmt.Errorf("%s changed while it was read", r.Dirty)
	}
	l := &layer{Raw: r.Raw, Entries: r.Entries}
	for _, s := range r.Segments {
		l.Bytes = append(l.Bytes, s.Bytes)
		l.Sums = append(l.Sums, hex.EncodeToString(s.Sum[:]))
	}
	return l, nil
}

func total(l *layer) (n int64) {
	if l != nil {
		for _, b := range l.Bytes {
			n += b
		}
	}
	return n
}

// unpackable returns l as unpack takes it.
func (l *layer) unpackable(c *transfer.Client) (unpack.Layer, error) {
	u := unpack.Layer{Raw: l.Raw, Entries: l.Entries, Source: c.Source(l.URLs)}
	for i, bytes := range l.Bytes {
		s := archive.Segment{Bytes: bytes}
		sum, err := hex.DecodeString(l.Sums[i])
		if err != nil {
			return u, err
		}
		copy(s.Sum[:], sum)
		u.Segments = append(u.Segments, s)
	}
	return u, nil
}

func restore(ctx context.Context, t task) (outcome, error) {
	m, err := start()
	if err != nil {
		return outcome{}, err
	}
	_, stats, err := restored(ctx, t)
	if err != nil {
		return outcome{}, err
	}
	return m.stop(outcome{Bytes: stats.Bytes})
}

func restored(ctx context.Context, t task) (*tree.Record, unpack.Stats, error) {
	client, err := transfer.NewClient(transfer.Options{})
	if err != nil {
		return nil, unpack.Stats{}, err
	}
	defer client.Close()
	root, err := confine.Open(t.Dir)
	if err != nil {
		return nil, unpack.Stats{}, err
	}
	defer root.Close()
	base, err := t.Base.unpackable(client)
	if err != nil {
		return nil, unpack.Stats{}, err
	}
	var delta *unpack.Layer
	if t.Delta != nil {
		d, err := t.Delta.unpackable(client)
		if err != nil {
			return nil, unpack.Stats{}, err
		}
		delta = &d
	}
	o := unpack.OptionsFor(0)
	o.Declared = []string{"."}
	return unpack.Layers(ctx, root, base, delta, o)
}

// pushAfter restores, lets change do something to the files, and measures the
// push that follows.
func pushAfter(change func(task) error) func(context.Context, task) (outcome, error) {
	return func(ctx context.Context, t task) (outcome, error) {
		record, _, err := restored(ctx, t)
		if err != nil {
			return outcome{}, err
		}
		root, err := confine.Open(t.Dir)
		if err != nil {
			return outcome{}, err
		}
		defer root.Close()
		if err := firstError(record.Settle(ctx, root), change(t)); err != nil {
			return outcome{}, err
		}
		m, err := start()
		if err != nil {
			return outcome{}, err
		}
		files, err := tree.Collect(ctx, root, tree.Selection{Patterns: []string{"."}, ProjectDir: t.Dir})
		if err != nil {
			return outcome{}, err
		}
		changes, err := record.Compare(ctx, root, files, runtime.GOMAXPROCS(0))
		if err != nil {
			return outcome{}, err
		}
		var l *layer
		switch d := tree.Decide(tree.Situation{Changes: changes}); d.Push {
		case tree.Full:
			return outcome{}, fmt.Errorf("the push is a full one: %s", d.Reason)
		case tree.Delta:
			l, err = send(ctx, t, root, changes.Entries, archive.Control{Version: archive.Version, Delta: true, Whiteouts: changes.Whiteouts})
		case tree.Skip:
		}
		if err != nil {
			return outcome{}, err
		}
		return m.stop(outcome{Bytes: total(l), Layer: l})
	}
}
