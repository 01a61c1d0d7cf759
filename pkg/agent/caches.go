package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/pack"
	"github.com/runnerd/runnerd/pkg/cache/archive/transfer"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/cache/archive/unpack"
	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/job"
)

// caches are the job's, from their restore to their save. What goes wrong with
// one is a line in the log, and never the job's failure.
type caches struct {
	*helper
	client  *transfer.Client
	records []*tree.Record // what was restored, by position in the plan; nil: nothing, or not all of it
}

// errCacheTimeout is the end of a restore's or save's time.
var errCacheTimeout = errors.New("the time for it is over (CACHE_REQUEST_TIMEOUT)")

// openCaches gets ready for the job's caches. It returns nil when there are none.
func (h *helper) openCaches() (*caches, error) {
	if len(h.plan.Caches) == 0 {
		return nil, nil
	}
	client, err := transfer.NewClient(transfer.Options{UserAgent: h.plan.Sources.UserAgent, CA: h.withAuthority(h.plan.CacheCA), Proxy: h.proxy()})
	if err != nil {
		return nil, fmt.Errorf("caches: %w", err)
	}
	return &caches{helper: h, client: client, records: make([]*tree.Record, len(h.plan.Caches))}, nil
}

func (c *caches) close() {
	if c == nil {
		return
	}
	c.client.Close()
}

// limited bounds the work on one cache.
func limited(ctx context.Context, p job.CachePlan) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.Timeout, errCacheTimeout)
}

// codeOf says in a word why a cache was not restored or saved.
func codeOf(ctx context.Context, err error) job.CacheCode {
	var moved *transfer.Error
	switch {
	case errors.Is(context.Cause(ctx), errCacheTimeout):
		return job.CodeTimeout
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return job.CodeDiskFull
	case errors.As(err, &moved):
		return transferCodes[moved.Code]
	case errors.Is(err, archive.ErrCorrupt):
		return job.CodeCorrupt
	case errors.Is(err, unpack.ErrUnsafe), errors.Is(err, confine.ErrPath):
		return job.CodeUnsafe
	case errors.Is(err, unpack.ErrTooLarge), errors.Is(err, pack.ErrTooLarge):
		return job.CodeTooLarge
	case errors.Is(err, errDirty):
		return job.CodeChanged
	}
	return job.CodeInternal
}

var transferCodes = map[transfer.Code]job.CacheCode{
	transfer.Network: job.CodeNetwork, transfer.Corrupt: job.CodeCorrupt, transfer.Denied: job.CodeDenied,
	transfer.Expired: job.CodeExpired, transfer.Missing: job.CodeCorrupt, transfer.Conflict: job.CodeConflict,
	transfer.Internal: job.CodeInternal,
}

// size writes bytes as people read them.
func size(bytes int64) string { return units.HumanSize(float64(bytes)) }

// rate writes a speed.
func rate(bytes int64, took time.Duration) string {
	return size(int64(float64(bytes)/max(took.Seconds(), 0.001))) + "/s"
}

// tenths rounds a duration for people.
func tenths(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// Memory that the work on a cache may use, where nothing sets a limit.
const defaultMemory = 256 << 20

// frugal makes Go collect garbage before the container's limit is near, until
// the returned function is called.
func frugal(limit int64) (relax func()) {
	soft := int64(defaultMemory)
	if limit > 0 {
		soft = min(soft, limit/2)
	}
	before := debug.SetMemoryLimit(soft)
	return func() { debug.SetMemoryLimit(before) }
}

// cpus is how many processors the container may use.
func cpus() int { return runtime.GOMAXPROCS(0) }

// memoryLimit returns the container's limit in bytes, or 0 when it has none.
func memoryLimit() int64 {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var n int64
		// "max", and the huge number that stands for it in the first version
		if _, err := fmt.Sscan(string(text), &n); err == nil && n < 1<<50 {
			return n
		}
		return 0
	}
	return 0
}
