package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/docker/go-units"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/unpack"
	"github.com/runnerd/runnerd/pkg/job"
)

// restore is the phase in which caches become files of the project. Its only
// failure is a plan that makes no sense.
func (c *caches) restore(ctx context.Context) error {
	if c == nil {
		return nil
	}
	return c.phase(ctx, "restore_cache", "Restoring cache", func(ctx context.Context) error {
		defer frugal(memoryLimit())()
		if _, err := c.project(); err != nil {
			return err
		}
		for i, p := range c.plan.Caches {
			if p.Error != "" {
				return job.Failf(job.RunnerConfigurationError, "%s", p.Error)
			}
			if !p.Restore {
				c.log.Plain("Not downloading cache " + p.Key + " due to policy")
				continue
			}
			restored := c.restoreOne(ctx, i, p)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			c.event(job.Event{Cache: &job.CacheEvent{Index: i, Restored: &restored}})
		}
		return nil
	})
}

func (c *caches) restoreOne(ctx context.Context, i int, p job.CachePlan) job.CacheRestored {
	began := time.Now()
	last := job.CacheLookup{Key: p.Key, Result: job.CacheMiss}
	for _, last = range p.Lookups {
		c.log.Plain("Checking cache for " + last.Key + "...")
		c.lookedUp(last)
	}
	if p.Note != "" && p.Hit == nil {
		c.log.Warn(fmt.Sprintf("Cache %s is not restored: %s", p.Key, p.Note))
	}
	if p.Hit == nil {
		return job.CacheRestored{Result: last.Result, Code: missCode(last.Result), Took: time.Since(began)}
	}
	ctx, release := limited(ctx, p)
	defer release()
	var err error
	for try := range max(p.Attempts, 1) {
		if try > 0 && ctx.Err() == nil {
			c.log.Warn(fmt.Sprintf("Cache %s was not restored (%v); trying again, attempt %d of %d", p.Hit.Key, err, try+1, p.Attempts))
		}
		var done job.CacheRestored
		if done, err = c.extract(ctx, i, p); err == nil {
			done.Took = time.Since(began)
			return done
		}
		if ctx.Err() != nil {
			err = cause(ctx, err)
			break
		}
	}
	code := codeOf(ctx, err)
	c.log.Warn(fmt.Sprintf("Failed to extract cache %s: %s: %v; the job goes on without it", p.Hit.Key, code, err))
	if p.WipeOnErr {
		c.wipe(p)
	}
	return job.CacheRestored{Result: job.CacheBroken, Code: code, Took: time.Since(began)}
}

func (c *caches) lookedUp(l job.CacheLookup) {
	text := "Cache " + l.Key + ": " + string(l.Result)
	if l.Detail != "" {
		text += ": " + l.Detail
	}
	switch l.Result {
	case job.CacheDenied, job.CacheBroken:
		c.log.Warn(text)
	case job.CacheMiss:
		c.log.Plain(text)
	case job.CacheHitPrimary, job.CacheHitFallback:
		// the line behind the restore says more
	}
}

func missCode(r job.CacheResult) job.CacheCode {
	switch r {
	case job.CacheDenied:
		return job.CodeDenied
	case job.CacheBroken:
		return job.CodeCorrupt
	}
	return job.CodeMiss
}

// extract restores the hit of one cache, wholly or not at all.
func (c *caches) extract(ctx context.Context, i int, p job.CachePlan) (job.CacheRestored, error) {
	began := time.Now()
	root, err := c.project()
	if err != nil {
		return job.CacheRestored{}, err
	}
	base, err := c.layer(p.Hit.Base)
	if err != nil {
		return job.CacheRestored{}, err
	}
	var delta *unpack.Layer
	if p.Hit.Delta != nil {
		l, err := c.layer(*p.Hit.Delta)
		if err != nil {
			return job.CacheRestored{}, err
		}
		delta = &l
	}
	options := unpack.OptionsFor(memoryLimit())
	options.Declared = c.expandPaths(p.Paths)
	stop := c.meter(movement{what: "Downloading cache " + p.Hit.Key, total: p.Hit.Bytes(), moved: c.client.Received})
	record, stats, err := unpack.Layers(ctx, root, base, delta, options)
	stop()
	if err != nil {
		return job.CacheRestored{}, err
	}
	c.records[i] = record
	took := time.Since(began)
	result := job.CacheHitPrimary
	if p.Hit.Fallback {
		result = job.CacheHitFallback
	}
	c.log.Info(fmt.Sprintf("Cache %s: %s: %s in %s entries, %s fetched in %s, %s; saved by job %d on %s %s ago",
		p.Hit.Key, wordsOf(result), size(stats.Raw), thousands(stats.Entries), size(stats.Bytes), tenths(took), rate(stats.Bytes, took),
		p.Hit.Job, p.Hit.Ref, units.HumanDuration(time.Since(p.Hit.Saved))))
	if stats.Skipped > 0 {
		c.log.Warn(fmt.Sprintf("Cache %s: %d devices or pipes in it are left out", p.Hit.Key, stats.Skipped))
	}
	if stats.Left != "" {
		c.log.Warn(fmt.Sprintf("Cache %s: what had to make way for it could not be removed: %s", p.Hit.Key, stats.Left))
	}
	c.log.Plain("Successfully extracted cache")
	return job.CacheRestored{Result: result, Bytes: stats.Bytes, Raw: stats.Raw, Entries: stats.Entries}, nil
}

func wordsOf(r job.CacheResult) string {
	if r == job.CacheHitFallback {
		return "fallback hit"
	}
	return string(r)
}

// layer connects a layer of the plan with its URLs.
func (c *caches) layer(l job.CacheLayer) (unpack.Layer, error) {
	out := unpack.Layer{Raw: l.Raw, Entries: l.Entries}
	var urls []string
	for n, s := range l.Segments {
		segment := archive.Segment{Bytes: s.Bytes}
		sum, err := decodeSum(s.SHA256)
		if err != nil {
			return out, fmt.Errorf("segment %d of layer %s: %w", n, l.ID, err)
		}
		segment.Sum = sum
		out.Segments = append(out.Segments, segment)
		urls = append(urls, s.URL)
	}
	out.Source = c.client.Source(urls)
	return out, nil
}

// wipe removes what is there of a cache that could not be restored
// (FF_CLEAN_UP_FAILED_CACHE_EXTRACT).
func (c *caches) wipe(p job.CachePlan) {
	project, err := os.OpenRoot(c.plan.ProjectDir)
	if err != nil {
		c.log.Warn(fmt.Sprintf("Cache %s: its paths are not cleaned up: %v", p.Key, err))
		return
	}
	defer project.Close()
	for _, pattern := range c.expandPaths(p.Paths) {
		if err := wipe(project, c.plan.ProjectDir, pattern); err != nil {
			c.log.Warn(fmt.Sprintf("Cache %s: %s is not cleaned up: %v", p.Key, pattern, err))
		}
	}
}

// wipe removes what pattern matches in the project. It may be absolute.
func wipe(project *os.Root, dir, pattern string) error {
	if !path.IsAbs(pattern) {
		pattern = path.Join(dir, pattern)
	}
	inside, err := filepath.Rel(dir, pattern)
	switch {
	case err != nil:
		return err
	case inside == ".":
		return errors.New("it is the project directory itself")
	case !filepath.IsLocal(inside):
		return errors.New("it is outside of the project directory")
	}
	names, err := doublestar.Glob(project.FS(), inside, doublestar.WithNoFollow())
	for _, name := range names {
		err = errors.Join(err, project.RemoveAll(name))
	}
	return err
}

func decodeSum(text string) (sum [sha256.Size]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(sum) {
		return sum, fmt.Errorf("%w: %q is no SHA-256", archive.ErrCorrupt, text)
	}
	return [sha256.Size]byte(raw), nil
}
