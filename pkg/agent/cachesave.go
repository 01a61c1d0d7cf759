package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/pack"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/job"
)

// errDirty is a file that changed while it was read: nothing says which of its
// states the archive holds.
var errDirty = errors.New("a file changed while it was read")

// settle takes note of the restored files as the job's script finds them.
func (c *caches) settle(ctx context.Context) {
	if c == nil {
		return
	}
	for i, record := range c.records {
		if record == nil {
			continue
		}
		err := record.Settle(ctx, c.root)
		if err != nil && ctx.Err() == nil {
			c.log.Warn(fmt.Sprintf("Cache %s will be saved as a whole: %v", c.plan.Caches[i].Key, err))
			c.records[i] = nil
		}
	}
}

// save is the phase in which files of the project become caches. jobErr is why
// the job has failed, if it has.
func (c *caches) save(ctx context.Context, jobErr error) {
	if c == nil || over(ctx, jobErr) {
		return
	}
	name, title, fits := "archive_cache", "Saving cache for successful job", job.WhenSuccess
	if jobErr != nil {
		name, title, fits = "archive_cache_on_failure", "Saving cache for failed job", job.WhenFailure
	}
	var wanted []int
	for i, p := range c.plan.Caches {
		if p.Error == "" && (p.When == job.WhenAlways || p.When == fits) {
			wanted = append(wanted, i)
		} else if p.Save {
			c.saved(i, job.CacheSaved{Result: job.SaveSkipped}, nil)
		}
	}
	if len(wanted) == 0 {
		return
	}
	// Its own errors are in the log, and ctx's the caller sees itself.
	_ = c.phase(ctx, name, title, func(ctx context.Context) error {
		defer frugal(memoryLimit())()
		for _, i := range wanted {
			c.saveOne(ctx, i, c.plan.Caches[i])
		}
		return nil
	})
}

func (c *caches) saveOne(ctx context.Context, i int, p job.CachePlan) {
	switch {
	case !p.Save:
		c.log.Plain("Not uploading cache " + p.Key + " due to policy")
		return
	case p.Upload == nil:
		c.log.Warn(fmt.Sprintf("Cache %s is not saved: %s", p.Key, p.Note))
		return
	}
	c.log.Plain("Creating cache " + p.Key + "...")
	began := time.Now()
	limited, release := limited(ctx, p)
	defer release()
	s := &saving{caches: c, index: i, plan: p}
	root, err := c.project()
	if err == nil {
		err = s.run(limited, root)
	}
	if err != nil {
		code := codeOf(limited, err)
		s.done = job.CacheSaved{Result: job.SaveFailed, Code: code}
		if ctx.Err() == nil {
			c.log.Warn(fmt.Sprintf("Failed to create cache %s: %s: %v", p.Key, code, cause(limited, err)))
		}
	}
	s.done.Took = time.Since(began)
	c.saved(i, s.done, s.segments)
}

// saved reports a save to the daemon, which then publishes it.
func (c *caches) saved(i int, done job.CacheSaved, segments []archive.Segment) {
	list := make([]job.CacheSegment, 0, len(segments))
	for _, s := range segments {
		list = append(list, job.CacheSegment{Bytes: s.Bytes, SHA256: hex.EncodeToString(s.Sum[:])})
	}
	for len(list) > 0 {
		n := min(len(list), job.MaxSegmentsPerEvent)
		c.event(job.Event{Cache: &job.CacheEvent{Index: i, Segments: list[:n]}})
		list = list[n:]
	}
	c.event(job.Event{Cache: &job.CacheEvent{Index: i, Saved: &done}})
}

// A saving is one cache on its way to the store.
type saving struct {
	*caches
	index    int
	plan     job.CachePlan
	done     job.CacheSaved
	segments []archive.Segment
}

func (s *saving) run(ctx context.Context, root *confine.Root) error {
	began := time.Now()
	files, err := s.collect(ctx, root)
	if err != nil {
		return err
	}
	if len(files.Entries) == 0 {
		s.log.Plain("No files to cache.")
		s.done = job.CacheSaved{Result: job.SaveEmpty}
		return nil
	}
	changes, err := s.compare(ctx, root, files)
	if err != nil {
		return err
	}
	decision := tree.Decide(tree.Situation{Changes: changes, Fallback: s.fallback(), Renew: s.plan.Hit != nil && s.plan.Hit.Renew})
	switch decision.Push {
	case tree.Skip:
		s.log.Info(fmt.Sprintf("Cache %s: %s; nothing sent (%s entries compared in %s)",
			s.plan.Key, decision.Reason, thousands(len(files.Entries)), tenths(time.Since(began))))
		s.done = job.CacheSaved{Result: job.SaveUnchanged, Entries: len(files.Entries)}
		return nil
	case tree.Delta:
		s.done = job.CacheSaved{Result: job.SaveDelta, Base: s.plan.Hit.Base.ID, Whiteouts: len(changes.Whiteouts)}
		return s.push(ctx, root, changes.Entries, archive.Control{Version: archive.Version, Delta: true, Whiteouts: changes.Whiteouts}, decision.Reason)
	default:
		s.done = job.CacheSaved{Result: job.SaveFull}
		return s.push(ctx, root, files.Entries, archive.Control{Version: archive.Version}, decision.Reason)
	}
}

func (s *saving) fallback() bool { return s.plan.Hit != nil && s.plan.Hit.Fallback }

// collect finds the cache's files and says what each path has matched.
func (s *saving) collect(ctx context.Context, root *confine.Root) (*tree.Listing, error) {
	selection := tree.Selection{Patterns: s.expandPaths(s.plan.Paths), ProjectDir: s.caches.plan.ProjectDir, Refuse: []string{".git"}}
	if s.plan.Untracked {
		files, err := s.untracked(ctx, root)
		if err != nil {
			s.log.Warn(fmt.Sprintf("untracked files are not cached: %v", err))
		}
		selection.Untracked = files
	}
	files, err := tree.Collect(ctx, root, selection)
	if err != nil {
		return nil, err
	}
	for _, m := range files.Matches {
		if m.Count == 0 {
			s.log.Warn(m.Pattern + ": no matching files. Ensure that the path is relative to the working directory (" + s.caches.plan.ProjectDir + ")")
			continue
		}
		s.log.Plain(fmt.Sprintf("%s: found %d matching files and directories", m.Pattern, m.Count))
	}
	if s.plan.Untracked {
		s.log.Plain(fmt.Sprintf("untracked: found %d files", len(selection.Untracked)))
	}
	for _, warning := range files.Warnings {
		s.log.Warn(warning)
	}
	return files, nil
}

// compare finds what has changed since the restore; nil when nothing is known
// of one.
func (s *saving) compare(ctx context.Context, root *confine.Root, files *tree.Listing) (*tree.Changes, error) {
	record := s.records[s.index]
	if record == nil {
		return nil, nil
	}
	return record.Compare(ctx, root, files, pack.OptionsFor(memoryLimit(), cpus()).Workers)
}

// push sends a layer.
func (s *saving) push(ctx context.Context, root *confine.Root, entries []tree.Entry, control archive.Control, why string) error {
	began := time.Now()
	options := pack.OptionsFor(memoryLimit(), cpus())
	options.Level = archive.Level(s.plan.Level)
	options.SegmentBytes = job.SegmentBytes
	options.MaxSegments = len(s.plan.Upload.URLs)
	options.MaxBytes = s.plan.Upload.MaxBytes
	if s.plan.MaxBytes > 0 {
		options.MaxBytes = min(options.MaxBytes, s.plan.MaxBytes)
	}
	sink := s.client.Sink(s.plan.Upload.URLs, s.plan.Upload.Headers)
	stop := s.meter(movement{what: "Uploading cache " + s.plan.Key, moved: s.client.Sent})
	result, err := pack.Layer(ctx, root, entries, control, sink, options)
	stop()
	if err != nil {
		return err
	}
	if result.Dirty != "" {
		return fmt.Errorf("%w: %q", errDirty, result.Dirty)
	}
	took := time.Since(began)
	s.segments = result.Segments
	s.done.Bytes, s.done.Raw, s.done.Entries = result.Bytes(), result.Raw, result.Entries
	s.log.Info(fmt.Sprintf("Cache %s: sent %s for %s in %s entries in %s, %s (%s)",
		s.plan.Key, size(result.Bytes()), size(result.Raw), thousands(result.Entries), tenths(took), rate(result.Bytes(), took), why))
	s.log.Plain("Created cache")
	return nil
}

// thousands writes a count with commas.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return out.String()
}
