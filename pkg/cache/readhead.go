package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerd/runnerd/pkg/cache/store"
)

// A damagedError is a head that cannot be used. What it names is unknown.
type damagedError struct{ err error }

func (e *damagedError) Error() string { return "head damaged: " + e.err.Error() }
func (e *damagedError) Unwrap() error { return e.err }

// isDamaged reports whether err is a head that is there and cannot be used.
func isDamaged(err error) bool {
	var d *damagedError
	return errors.As(err, &d)
}

// readHead reads the head of a place. It returns store.ErrNotFound if there is
// none, and a damagedError, together with the object, for one that cannot be
// used.
func (c *Cache) readHead(ctx context.Context, p place) (*Head, store.Object, error) {
	name := c.folder(p).head()
	data, object, err := c.bucket.Get(ctx, name, maxHeadBytes)
	if errors.Is(err, store.ErrTooLarge) {
		return nil, store.Object{Name: name}, &damagedError{fmt.Errorf("it has more than %d bytes", maxHeadBytes)}
	}
	if err != nil {
		return nil, store.Object{}, err
	}
	h, err := ParseHead(data)
	if err != nil {
		return nil, object, &damagedError{err}
	}
	if hashKey(h.Tier, h.Key) != p.hash {
		return nil, object, &damagedError{fmt.Errorf("it is that of another key, %.100q", h.Key)}
	}
	return h, object, nil
}

// condition holds while the head is still what was read: object, with the error
// of readHead.
func condition(object store.Object, err error) store.Condition {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.IfAbsent()
	case object.ETag == "":
		return store.Condition{} // it was too large to be read, so no other daemon can use it either
	}
	return store.IfMatch(object.ETag)
}
