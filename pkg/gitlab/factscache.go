package gitlab

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A listKind is the last part of a list's path.
type listKind string

const (
	protectedBranches     listKind = "protected_branches"
	protectedTags         listKind = "protected_tags"
	protectedEnvironments listKind = "protected_environments"
)

// A listKey names one list of one project.
type listKey struct {
	kind    listKind
	project int64
}

// maxKept bounds how much is kept: names, and one for each list.
const maxKept = 200_000

// A listCache keeps lists for a short time, and asks once for all who want the
// same list at the same time. Errors reach those who waited and are forgotten.
type listCache struct {
	ask  func(context.Context, listKey) ([]string, error) // ends by itself
	keep time.Duration
	max  int

	flying sync.WaitGroup // asks that are under way

	mu     sync.Mutex // guards all below
	closed bool
	coming map[listKey]*coming
	kept   map[listKey]*list.Element // of byAge
	byAge  list.List                 // of keptList, in the order in which they came
	size   int
}

// A coming is a list on its way. names and err may be read once done is closed.
type coming struct {
	done   chan struct{}
	cancel context.CancelCauseFunc
	names  []string
	err    error
}

type keptList struct {
	key   listKey
	names []string
	since time.Time // when it was asked for: a list is as old as the question
}

func newListCache(keep time.Duration, ask func(context.Context, listKey) ([]string, error)) *listCache {
	return &listCache{
		ask: ask, keep: keep, max: maxKept,
		coming: map[listKey]*coming{}, kept: map[listKey]*list.Element{},
	}
}

// get returns the names, which nobody may change. When ctx ends first, only this
// caller goes without: others may be waiting for the same list.
func (c *listCache) get(ctx context.Context, key listKey) ([]string, error) {
	names, next, err := c.look(ctx, key)
	if next == nil {
		return names, err
	}
	select {
	case <-next.done:
		return next.names, next.err
	case <-ctx.Done():
		return nil, fmt.Errorf("gitlab: %s of project %d: %w", key.kind, key.project, context.Cause(ctx))
	}
}

// look returns the list if it is there, else what brings it.
func (c *listCache) look(ctx context.Context, key listKey) ([]string, *coming, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, fmt.Errorf("gitlab: %s of project %d: asked after Close", key.kind, key.project)
	}
	c.dropOld(key)
	if at := c.kept[key]; at != nil {
		return at.Value.(keptList).names, nil, nil
	}
	next := c.coming[key]
	if next == nil {
		next = &coming{done: make(chan struct{})}
		ctx, next.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		c.coming[key] = next
		c.flying.Go(func() { c.bring(ctx, key, next) })
	}
	return nil, next, nil
}

func (c *listCache) bring(ctx context.Context, key listKey, next *coming) {
	defer next.cancel(nil)
	since := time.Now()
	next.names, next.err = c.ask(ctx, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.coming, key)
	if next.err == nil {
		c.put(keptList{key, next.names, since})
	}
	close(next.done)
}

// put keeps a list that is not kept yet. c.mu is held.
func (c *listCache) put(l keptList) {
	c.kept[l.key] = c.byAge.PushBack(l)
	c.size += 1 + len(l.names)
	for c.size > c.max {
		c.drop(c.byAge.Front())
	}
}

// dropOld drops the list of key if it is too old, and whatever else is too old
// at the front: one that was long on its way may stand behind a younger one.
// c.mu is held.
func (c *listCache) dropOld(key listKey) {
	old := func(at *list.Element) bool {
		return at != nil && time.Since(at.Value.(keptList).since) >= c.keep
	}
	if at := c.kept[key]; old(at) {
		c.drop(at)
	}
	for at := c.byAge.Front(); old(at); at = c.byAge.Front() {
		c.drop(at)
	}
}

func (c *listCache) drop(at *list.Element) {
	l := c.byAge.Remove(at).(keptList)
	delete(c.kept, l.key)
	c.size -= 1 + len(l.names)
}

var errClosed = errors.New("closed")

// close ends what is being asked and waits for it.
func (c *listCache) close() {
	c.mu.Lock()
	c.closed = true
	for _, next := range c.coming {
		next.cancel(errClosed)
	}
	c.mu.Unlock()
	c.flying.Wait()
}
