package tree

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/confine"
)

// Settle makes a Record's stats those of the entries as they are now. It is
// called right before the job's first script, when nobody changes the entries
// any more but for whom their changes are to be found; owners and permissions may
// have been changed since the restore.
//
// When it returns, the clock of the file system has moved on from all recorded
// times: what is changed from now on has another ctime. Where that cannot be had
// (see [newProbe]), Compare looks at all contents. Settle's error is ctx's.
func (r *Record) Settle(ctx context.Context, root *confine.Root) error {
	cursor := root.Cursor()
	defer cursor.Close()
	probe := newProbe(root, cursor)
	if probe != nil {
		defer probe.close(cursor)
	}
	newest := make([]int64, len(r.chunks))
	err := parallel(ctx, root, workers(), len(r.chunks), 1, func(c *confine.Cursor, i int) {
		r.chunks[i], newest[i] = r.chunks[i].settle(c, probe.device())
	})
	if err != nil || probe == nil {
		return err
	}
	r.exact, err = probe.passes(ctx, slices.Max(append(newest, 0)))
	return err
}

// settle returns c with the stats of now, and the newest ctime in it. An entry
// that is not as it was restored, or not on the device, gets a ctime that no
// file has: its content has to be compared.
func (c chunk) settle(cursor *confine.Cursor, device uint64) (settled chunk, newest int64) {
	var w chunkWriter
	for k := range c.all {
		st, err := cursor.Lstat(k.Path)
		now, ok := StatOf(st)
		switch {
		case err != nil || !ok || now.Kind != k.Kind:
			k.CTime = 0
		case k.Kind == Dir:
			k.Perm = now.Perm
		case k.Size != now.Size || k.MTime != now.MTime || k.Inode != now.Inode:
			k.CTime = 0
		default:
			k.Perm, k.CTime = now.Perm, now.CTime
			newest = max(newest, now.CTime)
			if st.Dev != device {
				k.CTime = 0
			}
		}
		w.add(&k)
	}
	return w.take(), newest
}

// A probe is a file that tells what time the file system has.
type probe struct {
	file confine.File
	name string
	dev  uint64
}

// probeTime is how long a probe waits for the clock: kernels without fine times
// have ticks of 1 to 10 ms.
const probeTime = 50 * time.Millisecond

// stable are the file systems on which an inode's number and ctime are known to
// mean what they should.
var stable = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC: true, unix.OVERLAYFS_SUPER_MAGIC: true,
	0x2fc12fc1: true, // ZFS
	0xca451a4e: true, // bcachefs
}

// newProbe makes a file with a name that nobody can know before. It returns nil
// if there is nothing to be learned from one, or if it cannot be made.
func newProbe(root *confine.Root, cursor *confine.Cursor) *probe {
	fs, err := root.Statfs()
	if err != nil || !stable[fs.Type] {
		return nil
	}
	name := ".runnerd-probe-" + rand.Text()
	file, err := cursor.Create(name, 0o600)
	if err != nil {
		return nil
	}
	p := &probe{file: file, name: name}
	st, err := file.Stat()
	if err != nil {
		p.close(cursor)
		return nil
	}
	p.dev = st.Dev
	return p
}

// device is the one that p is on; 0, which no file is on, without a probe.
func (p *probe) device() uint64 {
	if p == nil {
		return 0
	}
	return p.dev
}

// passes changes the probe until its ctime is newer than last. It gives up after
// probeTime. Its error is ctx's.
func (p *probe) passes(ctx context.Context, last int64) (bool, error) {
	end := time.Now().Add(probeTime)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-pause.C:
		}
		if _, err := p.file.WriteAt([]byte{0}, 0); err != nil {
			return false, nil // no time can be had here
		}
		st, err := p.file.Stat()
		if err != nil {
			return false, nil
		}
		if st.Ctim.Nano() > last {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil
		}
		pause.Reset(probeTime / 100)
	}
}

func (p *probe) close(cursor *confine.Cursor) {
	_ = p.file.Close()        // its content means nothing
	_ = cursor.Remove(p.name) // a file that is left over does no harm
}
