package tree

import (
	"context"
	"sync"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/confine"
)

// Compare finds what has changed since the restore. workers goroutines read the
// contents of the files that may have: those whose stat differs but for their
// size and permissions. The listing is of now; its entries become those of the
// Changes. Compare's error is ctx's.
func (r *Record) Compare(ctx context.Context, root *confine.Root, now *Listing, workers int) (*Changes, error) {
	c := &comparison{record: r, now: now.Entries, marks: make([]mark, len(now.Entries))}
	c.match()
	if err := c.readDoubtful(ctx, root, workers); err != nil {
		return nil, err
	}
	c.joinLinks()
	return c.changes(), nil
}

// A comparison is the work of one Compare.
type comparison struct {
	record   *Record
	now      []Entry
	marks    []mark // one for each of now
	doubtful []doubt
	absent   []kept // recorded, and not in now
}

// A mark is what is found out about one entry.
type mark struct {
	status status
	send   bool  // it has to be in the delta
	inBase bool  // the base has an entry at its path
	base   int64 // raw bytes of that one
}

type status uint8

const (
	same    status = iota // as it was restored
	changed               // not as it was restored
	added                 // not restored at all
)

// A doubt is an entry whose content has to be compared.
type doubt struct {
	index int // in now
	sum   archive.Sum
}

// match goes through both sorted lists at once.
func (c *comparison) match() {
	i := 0
	for k := range c.record.all {
		for i < len(c.now) && c.now[i].Path < k.Path {
			c.marks[i] = mark{status: added, send: true}
			i++
		}
		if i == len(c.now) || c.now[i].Path != k.Path {
			c.absent = append(c.absent, k)
			continue
		}
		c.marks[i] = c.judge(i, &k)
		i++
	}
	for ; i < len(c.now); i++ {
		c.marks[i] = mark{status: added, send: true}
	}
}

// judge compares entry i to what is recorded at its path.
func (c *comparison) judge(i int, k *kept) mark {
	e := &c.now[i]
	raw, inBase := k.inBase()
	m := mark{send: k.Origin != FromBase, inBase: inBase, base: raw}
	switch {
	case k.Kind == 0:
		m.status = added
	case e.Kind != k.Kind || e.Target != k.Target || e.Link != k.Link:
		m.status = changed
	case e.Kind == Symlink, e.Link != "": // a Link is what the entry is that it leads to; see joinLinks
	case e.Perm != k.Perm || e.Size != k.Size:
		m.status = changed
	case e.Kind == Dir:
	case c.record.exact && k.CTime != 0 && e.Stat == k.Stat:
	case known(k.Sum):
		c.doubtful = append(c.doubtful, doubt{index: i, sum: k.Sum})
	default:
		m.status = changed
	}
	m.send = m.send || m.status != same
	return m
}

// readDoubtful compares contents. A file that cannot be read counts as changed:
// who packs it will say more.
func (c *comparison) readDoubtful(ctx context.Context, root *confine.Root, workers int) error {
	hashers := sync.Pool{New: func() any { return new(hasher) }}
	return parallel(ctx, root, workers, len(c.doubtful), 16, func(cursor *confine.Cursor, i int) {
		h := hashers.Get().(*hasher)
		defer hashers.Put(h)
		d := c.doubtful[i]
		e := &c.now[d.index]
		if sum, ok := h.sum(ctx, cursor, e.Path, e.Size); !ok || sum != d.sum {
			c.marks[d.index].status, c.marks[d.index].send = changed, true
		}
	})
}

// joinLinks sends all names of a file if one is sent: a name in a delta cannot
// be a link to one in the base, which is restored later.
func (c *comparison) joinLinks() {
	for range 2 { // from the links to the first names, and from there to all links
		for i := range c.now {
			if c.now[i].Link == "" {
				continue
			}
			if first, ok := find(c.now, c.now[i].Link); ok {
				send := c.marks[i].send || c.marks[first].send
				c.marks[i].send, c.marks[first].send = send, send
			}
		}
	}
}
