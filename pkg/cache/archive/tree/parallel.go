package tree

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/runnerd/runnerd/pkg/confine"
)

// workers is how many goroutines look at files at once: more than eight only
// wait for one another in the kernel.
func workers() int { return min(runtime.GOMAXPROCS(0), 8) }

// parallel calls work for 0 to n-1 from several goroutines, each with a Cursor
// of its own, and returns when all have ended. Each takes grain neighbours at a
// time, so that its Cursor stays in one place. Its error is ctx's.
func parallel(ctx context.Context, root *confine.Root, workers, n, grain int, work func(c *confine.Cursor, i int)) error {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(workers, (n+grain-1)/grain) {
		running.Go(func() {
			cursor := root.Cursor()
			defer cursor.Close()
			for ctx.Err() == nil {
				end := int(next.Add(int64(grain)))
				if end-grain >= n {
					return
				}
				for i := end - grain; i < min(end, n); i++ {
					work(cursor, i)
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}
