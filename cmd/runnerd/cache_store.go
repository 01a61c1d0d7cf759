package main

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
)

// A cachePlace is a bucket and what of it belongs to some runners' caches.
type cachePlace struct {
	Runners []string // names of the entries that keep their caches there
	Prefix  string   // of all objects' names; "" or ending in a slash
	Store   store.Config
	Cache   cache.Config // of the first entry
}

func (p cachePlace) String() string {
	s := p.Store.String()
	if p.Prefix != "" {
		s += fmt.Sprintf(", below %q", p.Prefix)
	}
	return s
}

// hasCache reports whether the entry has a store for its jobs' caches.
func hasCache(r config.Runner) bool { return r.Cache.Type == "s3" }

// placeOf returns where the entry keeps its caches.
func placeOf(r config.Runner) cachePlace {
	return cachePlace{Runners: []string{r.Name}, Prefix: cachePrefix(r), Store: storeConfig(r.Cache.S3), Cache: cacheConfig(r, zap.NewNop(), nil)}
}

// cachePath writes a path of the configuration in the one way that names have:
// rooted, so that nothing leads out, and without the root again.
func cachePath(p string) string { return path.Join("/", p)[1:] }

// cachePrefix is what the names of the entry's objects begin with, as with
// GitLab Runner: the same bucket can serve both.
func cachePrefix(r config.Runner) string {
	prefix := cachePath(r.Cache.Path)
	if !r.Cache.Shared {
		prefix = path.Join(prefix, "runner", gitlab.ShortToken(r.Token))
	}
	if prefix != "" {
		prefix += "/"
	}
	return prefix
}

// expiringPrefix is that of the objects that a lifetime is for.
func expiringPrefix(prefix string) string { return prefix + "v1/" }

func storeConfig(c config.CacheS3) store.Config {
	s := store.Config{
		Address: c.ServerAddress, Bucket: c.BucketName, Region: c.BucketLocation, Insecure: c.Insecure,
		DualStack: c.DualStack.Or(true), Accelerate: c.Accelerate,
		AccessKey: c.AccessKey, SecretKey: c.SecretKey.Reveal(), SessionToken: c.SessionToken.Reveal(),
		Ambient: c.AuthenticationType == config.AuthenticateIAM,
		RoleARN: c.RoleARN, UploadRoleARN: c.UploadRoleARN,
		AssumeConcurrency: c.AssumeRoleMaxConcurrency, AssumeAnew: c.DisableAssumeRoleCredentialsCaching,
		KMSKey: c.ServerSideEncryptionKeyID, Headers: c.Headers, CAFile: c.CAFile,
	}
	if c.PathStyle.Set {
		s.PathStyle = store.VirtualHost
		if c.PathStyle.Value {
			s.PathStyle = store.PathAlways
		}
	}
	switch c.ServerSideEncryption {
	case "S3", "AES256":
		s.Encryption = store.EncryptS3
	case "KMS", "aws:kms":
		s.Encryption = store.EncryptKMS
	case "DSSE-KMS", "aws:kms:dsse":
		s.Encryption = store.EncryptDSSE
	}
	switch c.ConditionalPut {
	case config.ConditionalOn:
		s.ConditionalPut = store.ConditionalOn
	case config.ConditionalOff:
		s.ConditionalPut = store.ConditionalOff
	}
	return s
}

// cachePlaces returns the places of the entries of the name, or of all. Entries
// that share a place share an element: with exact, only if they get there in
// the same way.
func (a *app) cachePlaces(name string, exact bool) ([]cachePlace, error) {
	c, _, err := a.load()
	if err != nil {
		return nil, err
	}
	selected, err := selection{name: name}.of(c, a.configPath)
	if err != nil {
		return nil, err
	}
	var places []cachePlace
next:
	for _, i := range selected {
		if !hasCache(c.Runners[i]) {
			continue
		}
		p := placeOf(c.Runners[i])
		for j, known := range places {
			if known.same(p, exact) {
				places[j].Runners = append(known.Runners, p.Runners...)
				continue next
			}
		}
		places = append(places, p)
	}
	if len(places) == 0 {
		return nil, usageError{fmt.Errorf(`no entry of %q that was asked for has a cache store; write [runners.cache] with Type = "s3"`, a.configPath)}
	}
	return places, nil
}

func (p cachePlace) same(other cachePlace, exact bool) bool {
	if exact && (!reflect.DeepEqual(p.Store, other.Store) || p.Cache.Lifetime != other.Cache.Lifetime) {
		return false
	}
	return p.Store.Address == other.Store.Address && p.Store.Bucket == other.Store.Bucket && p.Prefix == other.Prefix
}

// expiryTimeout bounds the look at the bucket's rules, and their change.
const expiryTimeout = 30 * time.Second

// ensureLifetime makes the bucket delete what is older than the configured
// lifetime. A bucket that will not is no reason to have no caches: they are
// renewed and swept all the same, and one line says what stays behind.
func ensureLifetime(ctx context.Context, b *store.Bucket, p cachePlace, log *zap.Logger) {
	days := config.Lifetime(p.Cache.Lifetime).Days()
	if days == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, expiryTimeout)
	defer cancel()
	changed, err := b.EnsureExpiry(ctx, expiringPrefix(p.Prefix), days)
	log = log.With(zap.String("bucket", b.Name()), zap.String("prefix", expiringPrefix(p.Prefix)), zap.Int("days", days))
	switch {
	case err != nil && ctx.Err() == nil:
		log.Warn("the bucket does not delete old caches by itself; allow runnerd to set its lifecycle rule, set one by hand, or run runnerd cache prune now and then", zap.Error(err))
	case changed:
		log.Info("the bucket now deletes caches after their lifetime")
	}
}
