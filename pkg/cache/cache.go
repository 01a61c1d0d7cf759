package cache

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"path"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache/store"
)

// A Bucket is where caches lie; a [*store.Bucket] is one. It is safe for
// concurrent use, repeats by itself what is worth repeating, and its errors are
// those of package store.
type Bucket interface {
	// Get returns ErrNotFound if there is no such object.
	Get(ctx context.Context, name string, maxBytes int64) ([]byte, store.Object, error)
	// Put returns ErrConflict if the condition does not hold.
	Put(ctx context.Context, name string, data []byte, cond store.Condition) (store.Object, error)
	// Delete is fine with objects that are not there.
	Delete(ctx context.Context, names ...string) error
	// List is in the order of names and ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[store.Object, error]

	PresignGet(ctx context.Context, name string, life time.Duration) (string, error)
	PresignPut(ctx context.Context, name string, life time.Duration) (string, error)
	UploadHeaders() map[string]string
	// CredentialsExpire says when URLs die, whatever life they were signed for.
	CredentialsExpire(ctx context.Context) (time.Time, bool)
}

// Config says how the caches of a runner are kept.
type Config struct {
	Path        string // prefix of all names; "" for none
	Runner      string // short token: part of the prefix unless Shared, and a label
	RunnerName  string // a label
	SharedStore bool   // all runners with the same Path share their caches

	MaxBytes int64         // of one saved layer, in the store; 0 means 5 GiB
	Lifetime time.Duration // after which the bucket deletes objects; 0 means never

	ForceSeparate             bool // keys without a suffix of GitLab's have a class by their ref
	UnprotectedReadsProtected bool // jobs of unprotected refs may restore from class p

	MaxPerJob int           // entries of cache that a job may have; 0 means 4
	JobStart  time.Duration // how long a pod may take to start; 0 means 1 h
	Lookup    time.Duration // how long all lookups of a job may take; 0 means 10 s

	// Grace is how long a layer is kept after it was superseded; 0 means 2 h. It
	// is never shorter than a restore may take to begin.
	Grace time.Duration

	SweepEvery time.Duration // of Run; 0 means a day

	Log     *zap.Logger
	Metrics *Metrics // nil: nothing is counted
}

const (
	day = 24 * time.Hour

	defaultMaxBytes  = 5 << 30
	defaultMaxPerJob = 4
	defaultGrace     = 2 * time.Hour
	defaultJobStart  = time.Hour
	defaultLookup    = 10 * time.Second

	// restoreMargin is what a job may take from its pod's start to the last
	// byte of its caches; saveMargin what it may take beyond its timeout.
	restoreMargin = time.Hour
	saveMargin    = time.Hour
)

func (c Config) complete() Config {
	c.MaxBytes = cmp.Or(max(c.MaxBytes, 0), defaultMaxBytes)
	c.MaxPerJob = cmp.Or(c.MaxPerJob, defaultMaxPerJob)
	c.JobStart = cmp.Or(c.JobStart, defaultJobStart)
	c.Lookup = cmp.Or(c.Lookup, defaultLookup)
	c.Grace = max(cmp.Or(c.Grace, defaultGrace), c.restoreLife())
	c.SweepEvery = cmp.Or(c.SweepEvery, day)
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

// restoreLife is how long a URL of a restore is good for.
func (c Config) restoreLife() time.Duration {
	return min(c.JobStart+restoreMargin, store.MaxLife)
}

// saveLife is how long a URL of a save is good for.
func saveLife(timeout time.Duration) time.Duration {
	return min(timeout+saveMargin, store.MaxLife)
}

// A Cache is the caches of one runner.
type Cache struct {
	Config
	bucket Bucket
	prefix string // of all names; "" or ending in a slash
	meter  meter
	now    func() time.Time

	mu    sync.Mutex
	noted map[folder]time.Time // when this process has last written used
}

// New returns the caches in bucket. It starts nothing and sends nothing.
func New(bucket Bucket, c Config) (*Cache, error) {
	c = c.complete()
	prefix := strings.Trim(c.Path, "/")
	if prefix != "" && (path.Clean("/"+prefix) != "/"+prefix) {
		return nil, errors.New("cache: the path " + c.Path + ` leads out of itself; write a prefix such as "ci/caches"`)
	}
	if prefix != "" {
		prefix += "/"
	}
	if !c.SharedStore {
		if c.Runner == "" || strings.Contains(c.Runner, "/") || strings.Trim(c.Runner, ".") == "" {
			return nil, errors.New("cache: without the runner's short token its caches have no place of their own")
		}
		prefix += "runner/" + c.Runner + "/"
	}
	return &Cache{
		Config: c, bucket: bucket, prefix: prefix, now: time.Now,
		meter: meter{c.Metrics, c.Runner, c.RunnerName},
		noted: make(map[folder]time.Time),
	}, nil
}
