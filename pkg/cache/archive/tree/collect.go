package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/confine"
)

// Collect finds the files that sel means below root, which is its project
// directory. What it cannot read it leaves out with a warning; its error is
// ctx's.
func Collect(ctx context.Context, root *confine.Root, sel Selection) (*Listing, error) {
	c := &collection{root: root, sel: sel}
	listing := &Listing{}
	var lists [][]Entry
	for _, text := range sel.Patterns {
		entries, err := c.pattern(ctx, text)
		if err != nil {
			return nil, err
		}
		lists = append(lists, entries)
		listing.Matches = append(listing.Matches, Match{Pattern: text, Count: len(entries)})
	}
	untracked, err := c.untracked(ctx)
	if err != nil {
		return nil, err
	}
	listing.Entries = union(append(lists, untracked))
	c.links.apply(listing.Entries)
	listing.Warnings = c.notes()
	return listing, nil
}

// A collection is the work of one Collect.
type collection struct {
	root *confine.Root
	sel  Selection

	mu       sync.Mutex // guards what follows, which all workers write
	links    links
	special  int
	warnings []string
	more     int // warnings that are not in the list
}

const maxWarnings = 20

func (c *collection) warn(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.warnings) == maxWarnings {
		c.more++
		return
	}
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

func (c *collection) notes() []string {
	if c.special > 0 {
		c.warnings = append(c.warnings, fmt.Sprintf("%d devices, pipes or sockets are left out", c.special))
	}
	if c.more > 0 {
		c.warnings = append(c.warnings, fmt.Sprintf("%d more files or folders are left out", c.more))
	}
	return c.warnings
}

// pattern returns the entries that one pattern stands for, sorted.
func (c *collection) pattern(ctx context.Context, text string) ([]Entry, error) {
	p, err := parse(text, c.sel.ProjectDir)
	if err != nil {
		c.warn("%s: %v", text, err)
		return nil, nil
	}
	cursor := c.root.Cursor()
	defer cursor.Close()
	st, err := cursor.Lstat(p.base)
	var blocked *confine.InTheWayError
	switch {
	case errors.As(err, &blocked):
		c.warn("%s: %v, and symlinks are not followed", text, err)
		return nil, nil
	case err != nil:
		c.left(err)
		return nil, nil
	}
	top := &folder{path: p.base, dev: st.Dev, whole: p.all}
	if top.whole && p.base != "." {
		if e, ok := c.entry(cursor, p.base, st); ok {
			top.entries = append(top.entries, e)
		}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		inside := &folder{path: top.path, dev: top.dev, whole: top.whole}
		top.inside = append(top.inside, subfolder{before: len(top.entries), folder: inside})
		w := &walk{collection: c, pattern: &p, waiting: []*folder{inside}}
		w.wake.L = &w.mu
		if err := w.run(ctx); err != nil {
			return nil, err
		}
	}
	return top.flatten(make([]Entry, 0, top.count())), nil
}

// untracked returns the entries of the paths that git does not know, sorted.
func (c *collection) untracked(ctx context.Context) ([]Entry, error) {
	paths := make([]string, 0, len(c.sel.Untracked))
	for _, name := range c.sel.Untracked {
		name = strings.TrimSuffix(name, "/")
		if !c.refused(name, "") {
			paths = append(paths, name)
		}
	}
	slices.Sort(paths)
	found := make([]Entry, len(paths))
	err := parallel(ctx, c.root, workers(), len(paths), 256, func(cursor *confine.Cursor, i int) {
		st, err := cursor.Lstat(paths[i])
		if err != nil {
			c.left(err)
			return
		}
		found[i], _ = c.entry(cursor, paths[i], st)
	})
	return slices.DeleteFunc(found, func(e Entry) bool { return e.Path == "" }), err
}

// entry makes an Entry of what lstat said of name; ok is false when it does not
// become one. It is called by all workers.
func (c *collection) entry(cursor *confine.Cursor, name string, st unix.Stat_t) (e Entry, ok bool) {
	stat, ok := StatOf(st)
	if !ok {
		c.mu.Lock()
		c.special++
		c.mu.Unlock()
		return Entry{}, false
	}
	e = Entry{Path: name, Stat: stat}
	switch {
	case stat.Kind == Symlink:
		var err error
		if e.Target, err = cursor.Readlink(name); err != nil {
			c.left(err)
			return Entry{}, false
		}
	case stat.Kind == File && st.Nlink > 1:
		c.mu.Lock()
		c.links.add(name, inode{dev: st.Dev, ino: st.Ino})
		c.mu.Unlock()
	}
	return e, true
}

// left takes note of a file that cannot be looked at. That it is gone, or has
// become something else meanwhile, is nothing to speak of.
func (c *collection) left(err error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EINVAL) {
		return
	}
	c.warn("left out: %v", err)
}

// refused says whether name is in a folder that belongs to no cache. base is
// the literal part of the pattern that leads to it.
func (c *collection) refused(name, base string) bool {
	for _, folder := range c.sel.Refuse {
		if within(name, folder) && !within(base, folder) {
			return true
		}
	}
	return false
}

// within says whether name is folder or below it.
func within(name, folder string) bool {
	return strings.HasPrefix(name, folder) && (len(name) == len(folder) || name[len(folder)] == '/')
}

// union merges sorted lists into one without repeated paths.
func union(lists [][]Entry) []Entry {
	lists = slices.DeleteFunc(lists, func(l []Entry) bool { return len(l) == 0 })
	if len(lists) == 1 {
		return lists[0]
	}
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(all, func(a, b Entry) bool { return a.Path == b.Path })
}
