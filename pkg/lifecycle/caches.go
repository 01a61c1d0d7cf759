package lifecycle

import (
	"context"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// publishTimeout bounds the wait for what a job has saved to be published. It
// comes before the job's end at GitLab, so that the next job finds it.
const publishTimeout = 30 * time.Second

// noStore is what a job's log says where [runners.cache] is missing.
const noStore = "this runner has no cache store (see [runners.cache] in its config)"

// openCaches looks the job's caches up and puts them into the plan.
func (a *attempt) openCaches(ctx context.Context) {
	if len(a.plan.Helper.Caches) == 0 {
		return
	}
	if a.runner.Caches == nil {
		for i := range a.plan.Helper.Caches {
			a.plan.Helper.Caches[i].Note = noStore
		}
		return
	}
	a.caches = a.runner.Caches.Prepare(ctx, a.job, a.plan)
}

// cacheEvent passes on what the helper says of a cache.
func (a *attempt) cacheEvent(e job.CacheEvent) {
	if a.caches != nil {
		a.caches.Event(e)
	}
}

// publishCaches waits until what the job has saved is published, and returns
// what the job's author should know of it.
func (a *attempt) publishCaches(ctx context.Context) []string {
	if a.caches == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	return a.caches.Finish(ctx)
}

// closeCaches removes what the job has uploaded and nobody will use. The pod is
// gone by then.
func (a *attempt) closeCaches(ctx context.Context) {
	if a.caches != nil {
		a.caches.Close(ctx)
	}
}

// resumeCaches goes on with the caches of an adopted job.
func (a *attempt) resumeCaches(ctx context.Context) {
	if len(a.plan.Helper.Caches) > 0 && a.runner.Caches != nil {
		a.caches = a.runner.Caches.Resume(ctx, a.job, a.plan)
	}
}
