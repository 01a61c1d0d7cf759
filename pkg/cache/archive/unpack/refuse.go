package unpack

import (
	"fmt"
	"path"
	"strings"

	"github.com/runnerd/runnerd/pkg/confine"
)

// rules say which paths an archive may name.
type rules struct {
	refuse  []string
	allowed []string // literal parts of declared patterns
}

func newRules(root string, o Options) rules {
	r := rules{refuse: o.Refuse}
	for _, pattern := range o.Declared {
		if base := literal(root, pattern); base != "" {
			r.allowed = append(r.allowed, base)
		}
	}
	return r
}

// literal returns the part of a pattern before its first special component,
// relative to root, or "" if that is root itself or not below it.
func literal(root, pattern string) string {
	clean := path.Clean(pattern)
	if path.IsAbs(clean) {
		below, ok := strings.CutPrefix(clean, strings.TrimSuffix(path.Clean(root), "/")+"/")
		if !ok {
			return ""
		}
		clean = below
	}
	if i := strings.IndexAny(clean, `*?[{\`); i >= 0 {
		clean = clean[:max(strings.LastIndexByte(clean[:i], '/'), 0)]
	}
	if confine.Check(clean) != nil {
		return ""
	}
	return clean
}

// check says whether an archive may have an entry name. A folder's entry above
// a refused path changes nothing in there; anything else would be in its place.
func (r *rules) check(name string, isFolder bool) error {
	if err := confine.Check(name); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	for _, refused := range r.refuse {
		if !within(name, refused) && (isFolder || !within(refused, name)) {
			continue
		}
		if !r.declared(name, refused) {
			return fmt.Errorf("%w: %.200q: nothing is restored to %q, unless a path of the cache names it", ErrUnsafe, name, refused)
		}
	}
	return nil
}

func (r *rules) declared(name, refused string) bool {
	for _, base := range r.allowed {
		if within(base, refused) && strings.HasPrefix(name, base) && within(name, base) {
			return true
		}
	}
	return false
}

// within says whether name is folder or below it, in whatever case of letters.
func within(name, folder string) bool {
	return len(name) >= len(folder) && strings.EqualFold(name[:len(folder)], folder) &&
		(len(name) == len(folder) || name[len(folder)] == '/')
}
