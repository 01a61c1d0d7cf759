package store

import (
	"context"

	"github.com/minio/minio-go/v7"
)

// EnsureExists makes the bucket if there is none of its name, and reports whether
// it did. ErrDenied means that the credentials may not; a name that belongs to
// somebody else is an error of the store's.
func (b *Bucket) EnsureExists(ctx context.Context) (made bool, err error) {
	a, err := b.client(ctx, b.main, 0)
	if err != nil {
		return false, err
	}
	there, err := a.client.BucketExists(ctx, b.config.Bucket)
	if err != nil || there {
		return false, b.fail("look for", "", err)
	}
	err = a.client.MakeBucket(ctx, b.config.Bucket, minio.MakeBucketOptions{Region: b.config.Region})
	if code, _ := answer(err); err != nil && code == "BucketAlreadyOwnedByYou" { // another was quicker, or an answer was lost
		return false, nil
	}
	return err == nil, b.fail("make", "", err)
}
