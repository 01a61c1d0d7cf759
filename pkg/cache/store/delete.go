package store

import (
	"context"
	"errors"
	"slices"

	"github.com/minio/minio-go/v7"
)

// deleteBatch is how many objects S3 deletes at once.
const deleteBatch = 1000

// Delete removes objects, a thousand with one request where the store can.
// What is not there is fine. It goes on after an object that the store will
// not delete and returns all such errors, joined; it stops when a whole
// request fails.
func (b *Bucket) Delete(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return nil
	}
	a, err := b.client(ctx, b.main, 0)
	if err != nil {
		return err
	}
	var refused []error
	for batch := range slices.Chunk(names, deleteBatch) {
		err := b.deleteBatch(ctx, a, batch)
		if errors.Is(err, ErrUnsupported) {
			err = b.deleteEach(ctx, a, batch)
		}
		if err != nil {
			refused = append(refused, err)
		}
		if errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(refused...)
}

func (b *Bucket) deleteBatch(ctx context.Context, a *access, names []string) error {
	if len(names) == 1 {
		return b.deleteOne(ctx, a, names[0])
	}
	objects := func(yield func(minio.ObjectInfo) bool) {
		for _, name := range names {
			if !yield(minio.ObjectInfo{Key: name}) {
				return
			}
		}
	}
	results, err := a.client.RemoveObjectsWithIter(ctx, b.config.Bucket, objects, minio.RemoveObjectsOptions{})
	if err != nil {
		return b.fail("delete", "", err)
	}
	var refused []error
	for r := range results {
		if err := b.fail("delete", r.ObjectName, r.Err); err != nil && !errors.Is(err, ErrNotFound) {
			refused = append(refused, err)
			// One reason for a whole batch comes once for each object of it.
			if len(refused) == 3 {
				break
			}
		}
	}
	if err := ctx.Err(); err != nil && len(refused) == 0 {
		return b.fail("delete", "", err)
	}
	return errors.Join(refused...)
}

func (b *Bucket) deleteEach(ctx context.Context, a *access, names []string) error {
	for _, name := range names {
		if err := b.deleteOne(ctx, a, name); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bucket) deleteOne(ctx context.Context, a *access, name string) error {
	err := b.fail("delete", name, a.client.RemoveObject(ctx, b.config.Bucket, name, minio.RemoveObjectOptions{}))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
