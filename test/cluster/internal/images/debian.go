package images

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/runnerd/runnerd/test/cluster/internal/debian"
	"github.com/runnerd/runnerd/test/cluster/internal/filelock"
)

// packages are added to a minimal Debian: what a job's helper needs.
var packages = []string{"git", "git-lfs", "ca-certificates", "bash"}

// pruned is removed from the root file system, to keep pulls short. The shell
// expands the patterns inside it.
var pruned = []string{
	"usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/lintian/*",
	"var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*", "usr/share/i18n/*", "usr/lib/*-linux-gnu/gconv/*", "dev/*",
}

// debian returns the layer with Debian in it, from the cache if it is there.
func (b Builder) debian(ctx context.Context) (v1.Layer, error) {
	mirror, suite := debian.Mirror(ctx)
	recipe := strings.Join(append(append([]string{"1", suite, architecture}, packages...), pruned...), " ")
	meta := filepath.Join(b.Cache, "images", "debian-"+digest([]byte(recipe))[:16]+".json")
	unlock, err := filelock.Lock(meta + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := b.cached(meta)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	fmt.Fprintf(b.Log, "making the Debian root file system for the images, once (debootstrap %s from %s, 1-2 minutes)\n", suite, mirror)
	dir, err := os.MkdirTemp(filepath.Dir(meta), "debootstrap-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := debootstrap(ctx, dir, mirror, suite); err != nil {
		return nil, err
	}
	if err := b.store(ctx, dir, meta); err != nil {
		return nil, fmt.Errorf("debian layer: %w", err)
	}
	return b.cached(meta)
}

// debootstrap fills dir. What it mounts there is seen, and survives, nowhere
// but in its own mount namespace.
func debootstrap(ctx context.Context, dir, mirror, suite string) error {
	script := `set -eu
debootstrap --variant=minbase --include="$4" "$3" "$1" "$2"
cd "$1"
for pattern in $5; do rm -rf -- $pattern; done
chmod 1777 tmp`
	cmd := exec.CommandContext(ctx, "sh", "-c", script, "sh", dir, mirror, suite, strings.Join(packages, ","), strings.Join(pruned, " "))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("debootstrap %s %s: %w: %s", suite, mirror, err, strings.Join(lines[max(0, len(lines)-3):], "; "))
	}
	return nil
}

// store packs dir as a layer into the blob folder and describes it in meta.
func (b Builder) store(ctx context.Context, dir, meta string) error {
	folder := filepath.Join(b.Blobs(), "sha256")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, "layer-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	packed, plain := sha256.New(), sha256.New()
	zip, err := gzip.NewWriterLevel(io.MultiWriter(f, packed), gzip.BestSpeed)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "tar", "-C", dir, "--sort=name", "--numeric-owner", "--mtime=@0", "-cf", "-", ".")
	cmd.Stdout, cmd.Stderr = io.MultiWriter(zip, plain), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("tar: %w", err)
	}
	if err := errors.Join(zip.Close(), f.Close()); err != nil {
		return err
	}
	st, err := os.Stat(f.Name())
	if err != nil {
		return err
	}
	d := description{Digest: hashOf(packed), DiffID: hashOf(plain), Size: st.Size()}
	if err := os.Rename(f.Name(), filepath.Join(folder, d.Digest.Hex)); err != nil {
		return err
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := os.WriteFile(meta+".tmp", text, 0o644); err != nil {
		return err
	}
	return os.Rename(meta+".tmp", meta)
}

// cached returns the layer that meta describes, or fs.ErrNotExist.
func (b Builder) cached(meta string) (v1.Layer, error) {
	text, err := os.ReadFile(meta)
	if err != nil {
		return nil, err
	}
	l := &cachedLayer{}
	if err := json.Unmarshal(text, &l.description); err != nil {
		return nil, fmt.Errorf("%s: %w; delete it", meta, err)
	}
	l.file = filepath.Join(b.Blobs(), "sha256", l.description.Digest.Hex)
	_, err = os.Stat(l.file)
	return l, err
}

type description struct {
	Digest, DiffID v1.Hash
	Size           int64
}

// A cachedLayer is a v1.Layer whose hashes are known, so that nothing reads
// its data but a client that pulls it.
type cachedLayer struct {
	description
	file string
}

func (l *cachedLayer) Digest() (v1.Hash, error)            { return l.description.Digest, nil }
func (l *cachedLayer) DiffID() (v1.Hash, error)            { return l.description.DiffID, nil }
func (l *cachedLayer) Size() (int64, error)                { return l.description.Size, nil }
func (l *cachedLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (l *cachedLayer) Compressed() (io.ReadCloser, error)  { return os.Open(l.file) }
func (l *cachedLayer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.file)
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{zip, f}, nil
}

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
