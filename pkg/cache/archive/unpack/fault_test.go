package unpack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// A sourceFunc is a Source that is a function.
type sourceFunc func(ctx context.Context, n int, into []byte) error

func (f sourceFunc) Get(ctx context.Context, n int, into []byte) error { return f(ctx, n, into) }

// manySegments is a layer of a dozen segments with something of everything.
func manySegments(t *testing.T) Layer {
	t.Helper()
	b := newBuilder(t, archive.Control{})
	b.add(file("README", "new"), file("vendor/old/x", "new"), symlink("out/link", "/"))
	for i := range 4 {
		b.cut()
		b.add(file(fmt.Sprintf("dir%d/a", i), "x"), folder(fmt.Sprintf("dir%d", i), 0o500), link(fmt.Sprint("hard", i), fmt.Sprintf("dir%d/a", i)))
		b.cut()
		b.large(uint32(i), tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint("large", i)}, noise(2*leaf), 1, b.cut)
	}
	return b.layer()
}

var errBroken = errors.New("broken")

// A Source fails, hangs, or answers with something else, at each segment.
func TestSourceFaults(t *testing.T) {
	good := manySegments(t)
	bytes := good.Source.(memory)
	type get func(ctx context.Context, cancel func(error), n int, into []byte) error
	faults := []struct {
		name string
		get  get
		want error
	}{
		{"fails", func(context.Context, func(error), int, []byte) error { return fmt.Errorf("get: %w", errBroken) }, errBroken},
		{"is short", func(_ context.Context, _ func(error), n int, into []byte) error {
			clear(into[copy(into, bytes[n][:len(into)/2]):])
			return nil
		}, archive.ErrCorrupt},
		{"has other bytes", func(_ context.Context, _ func(error), n int, into []byte) error {
			copy(into, bytes[(n+1)%len(bytes)])
			return nil
		}, archive.ErrCorrupt},
		{"hangs, and the job ends", func(ctx context.Context, cancel func(error), _ int, _ []byte) error {
			cancel(errBroken)
			<-ctx.Done()
			return ctx.Err()
		}, errBroken},
		{"is right, and the job ends", func(ctx context.Context, cancel func(error), n int, into []byte) error {
			cancel(errBroken)
			return bytes.Get(ctx, n, into)
		}, errBroken},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			s := newSite(t)
			root := openRoot(t, s.project)
			before := digest(t, s.project, true)
			for at := range bytes {
				ctx, cancel := context.WithCancelCause(context.Background())
				l := good
				l.Source = sourceFunc(func(ctx context.Context, n int, into []byte) error {
					if n == at {
						return fault.get(ctx, cancel, n, into)
					}
					return bytes.Get(ctx, n, into)
				})
				_, _, err := Layers(ctx, root, l, nil, options())
				cancel(nil)
				if !errors.Is(err, fault.want) {
					t.Errorf("segment %d: Layers returns %v, want %v", at, err, fault.want)
				}
			}
			if diff := cmp.Diff(before, digest(t, s.project, true)); diff != "" {
				t.Errorf("something has changed (-before +after):\n%s", diff)
			}
		})
	}
}

// What was damaged on its way is fetched once more.
func TestDamagedOnce(t *testing.T) {
	good := manySegments(t)
	var gets atomic.Int32
	seen := make([]atomic.Bool, len(good.Segments))
	l := good
	l.Source = sourceFunc(func(ctx context.Context, n int, into []byte) error {
		gets.Add(1)
		err := good.Source.Get(ctx, n, into)
		if !seen[n].Swap(true) {
			into[len(into)/2]++
		}
		return err
	})
	if _, err := restoreInto(t, t.TempDir(), l, nil, options()); err != nil {
		t.Error(err)
	}
	if want := int32(2 * len(good.Segments)); gets.Load() != want {
		t.Errorf("%d segments were fetched, want %d", gets.Load(), want)
	}
}

// The context has ended before anything begins.
func TestEndedBefore(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errBroken)
	root := openRoot(t, t.TempDir())
	if _, _, err := Layers(ctx, root, manySegments(t), nil, options()); !errors.Is(err, errBroken) {
		t.Errorf("Layers returns %v", err)
	}
}

// That there is not enough space is known before anything is fetched.
func TestNoSpaceForHead(t *testing.T) {
	l := manySegments(t)
	l.Raw = 1 << 60
	l.Source = sourceFunc(func(context.Context, int, []byte) error { return errBroken })
	newSite(t).refuses(t, l, nil, options(), unix.ENOSPC)
}

// The disk becomes full while files are written: they take a block each, which
// their sizes do not tell. Where nothing can be mounted, a limit for files' sizes
// makes a write fail.
func TestDiskFull(t *testing.T) {
	s := newSite(t)
	want := error(unix.ENOSPC)
	b := newBuilder(t, archive.Control{})
	b.add(file("README", "new"), file("vendor/old", "new"))
	switch err := unix.Mount("tmpfs", s.project, "tmpfs", 0, "size=2m"); {
	case err == nil:
		t.Cleanup(func() {
			if err := unix.Unmount(s.project, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		write(t, s.project+"/README", "readme")
		write(t, s.project+"/vendor/old", "old")
		for i := range 600 {
			b.add(file(fmt.Sprintf("small/%d", i), "x"))
		}
	case errors.Is(err, unix.EPERM):
		want = unix.EFBIG
		limitFiles(t, 1<<20)
		b.add(file("large", string(make([]byte, 2<<20))))
	default:
		t.Fatal(err)
	}
	s.refuses(t, b.layer(), nil, options(), want)
}

// limitFiles limits the sizes of files for the time of the test.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
}

// A large file does not fit.
func TestFileTooLarge(t *testing.T) {
	s := newSite(t)
	b := newBuilder(t, archive.Control{})
	b.add(file("README", "new"))
	b.large(0, tar.Header{Typeflag: tar.TypeReg, Name: "big"}, noise(3*leaf), 1, b.cut)
	l := b.layer()
	limitFiles(t, 2*leaf)
	s.refuses(t, l, nil, options(), unix.EFBIG)
}

// Who we are not is refused by the system; root may do all of it.
func TestForeignOwner(t *testing.T) {
	s := newSite(t)
	o := options()
	o.UID, o.GID = 4242, 4242
	if os.Getuid() != 0 {
		s.refuses(t, manySegments(t), nil, o, unix.EPERM)
		return
	}
	if _, err := restoreInto(t, s.project, manySegments(t), nil, o); err != nil {
		t.Error(err)
	}
}
