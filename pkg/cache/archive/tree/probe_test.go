package tree

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/runnerd/runnerd/pkg/confine"
)

// The clock of a file system that lies behind: the probe gives up.
func TestProbeDoesNotWaitForever(t *testing.T) {
	root, err := confine.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	cursor := root.Cursor()
	defer cursor.Close()
	p := newProbe(root, cursor)
	if p == nil {
		t.Fatal("no probe in a temporary directory: what file system is it on?")
	}
	defer p.close(cursor)
	if ok, err := p.passes(context.Background(), math.MaxInt64); ok || err != nil {
		t.Errorf("passes = %v, %v", ok, err)
	}
	st, err := p.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.passes(context.Background(), st.Ctim.Nano()); !ok || err != nil {
		t.Errorf("passes its own time = %v, %v", ok, err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	if _, err := p.passes(ctx, math.MaxInt64); !errors.Is(err, why) {
		t.Errorf("with a context that is done: %v", err)
	}
}
