package cache

import (
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Class keeps the caches of a project apart by whom they come from: a job
// gets no URL outside of the classes that it may use.
type Class string

// The classes, as they are in names.
const (
	Protected   Class = "p" // written by jobs of protected refs only
	Unprotected Class = "u"
	Shared      Class = "s" // the project does not separate its caches
)

func (c Class) valid() bool { return c == Protected || c == Unprotected || c == Shared }

// What GitLab appends to the keys of a project that separates its caches.
const (
	suffixProtected   = "-protected"
	suffixUnprotected = "-non_protected"
)

// classOf returns the class of a key from its text, as GitLab sent it: GitLab
// appends its suffix to that, so no variable can fake it or take it away. The
// flag of the ref decides over the text.
func classOf(text string, protected job.Tristate, forceSeparate bool) Class {
	switch {
	case strings.HasSuffix(text, suffixUnprotected):
		return Unprotected // also of protected refs, with cache:unprotect
	case strings.HasSuffix(text, suffixProtected), forceSeparate:
		if protected == job.True {
			return Protected
		}
		return Unprotected
	}
	return Shared
}

// forbidden reports whether k is a key that a variable must not choose: that of
// a cache of protected refs.
func forbidden(k job.CacheKey) bool {
	if !k.User {
		return false
	}
	for _, s := range []string{k.Text, k.Name, k.Object} {
		if strings.HasSuffix(strings.TrimRight(s, ". "), suffixProtected) {
			return true
		}
	}
	return false
}

// counterpart returns the key under which jobs of protected refs have what jobs
// of other refs have under object.
func counterpart(object string) string {
	if base, ok := strings.CutSuffix(object, suffixUnprotected); ok {
		return base + suffixProtected
	}
	return object
}
