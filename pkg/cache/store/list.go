package store

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
)

// List returns the objects whose names begin with prefix, in the order of
// their names. It ends after the first error.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		b.list(ctx, prefix, true, func(info minio.ObjectInfo, err error) bool {
			return yield(object(info.Key, info), err)
		})
	}
}

// Folders returns what lies one level below prefix and has something below it
// in turn: whole names that end in a slash, so that each is a prefix itself.
// The prefix has to end in a slash, or be empty.
func (b *Bucket) Folders(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		b.list(ctx, prefix, false, func(info minio.ObjectInfo, err error) bool {
			if err == nil && !strings.HasSuffix(info.Key, "/") {
				return true
			}
			return yield(info.Key, err)
		})
	}
}

func (b *Bucket) list(ctx context.Context, prefix string, recursive bool, yield func(minio.ObjectInfo, error) bool) {
	a, err := b.client(ctx, b.main, 0)
	if err != nil {
		yield(minio.ObjectInfo{}, err)
		return
	}
	noOwner := false
	opts := minio.ListObjectsOptions{Prefix: prefix, Recursive: recursive, FetchOwner: &noOwner}
	for info := range a.client.ListObjectsIter(ctx, b.config.Bucket, opts) {
		if info.Err != nil {
			yield(minio.ObjectInfo{}, b.fail("list", prefix, info.Err))
			return
		}
		if !yield(info, nil) {
			return
		}
	}
	// minio-go ends a listing that was cancelled as if it were complete.
	if err := ctx.Err(); err != nil {
		yield(minio.ObjectInfo{}, b.fail("list", prefix, err))
	}
}
