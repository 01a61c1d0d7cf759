package main

import (
	"context"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
)

// An entryCache is where an entry's jobs have their caches.
type entryCache struct {
	*cache.Cache
	bucket *store.Bucket
	place  cachePlace
	sweep  bool
	log    *zap.Logger
}

// newEntryCache opens the store of an entry; it returns nil when there is none.
func (d *daemon) newEntryCache(r config.Runner, log *zap.Logger) (*entryCache, error) {
	if !hasCache(r) {
		return nil, nil
	}
	e := &entryCache{place: placeOf(r), sweep: r.Cache.Sweep, log: log}
	bucket, err := store.Open(e.place.Store)
	if err != nil {
		return nil, err
	}
	e.bucket = bucket
	e.Cache, err = cache.New(bucket, cacheConfig(r, log, d.caches))
	if err != nil {
		bucket.Close()
		return nil, err
	}
	return e, nil
}

func cacheConfig(r config.Runner, log *zap.Logger, m *cache.Metrics) cache.Config {
	return cache.Config{
		Path: r.Cache.Path, Runner: gitlab.ShortToken(r.Token), RunnerName: r.Name, SharedStore: r.Cache.Shared,
		MaxBytes: r.Cache.MaxUploadedArchiveSizeBytes, Lifetime: r.Cache.Lifetime.Duration(),
		ForceSeparate: r.Cache.ForceSeparate, UnprotectedReadsProtected: r.Cache.UnprotectedReadsProtected,
		JobStart: max(r.Kubernetes.PollTimeout.Duration(), time.Hour),
		Log:      log, Metrics: m,
	}
}

// run looks after the store until ctx ends: its lifecycle rule, and what nobody
// uses any more.
func (e *entryCache) run(ctx context.Context) {
	ensureLifetime(ctx, e.bucket, e.place, e.log)
	if e.sweep {
		e.Run(ctx)
	}
}

// begin starts run; the returned function ends it, and the use of the store.
func (e *entryCache) begin(ctx context.Context) (end func()) {
	if e == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { e.run(ctx) })
	return func() {
		stop()
		running.Wait()
		e.bucket.Close()
	}
}

// of returns the cache itself, or nil when there is none.
func (e *entryCache) of() *cache.Cache {
	if e == nil {
		return nil
	}
	return e.Cache
}

// cacheCA returns the authorities that jobs need for the store.
func cacheCA(r config.Runner) (string, error) {
	if !hasCache(r) || r.Cache.S3.CAFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(r.Cache.S3.CAFile)
	return string(text), err
}
