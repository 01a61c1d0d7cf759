package gitlab

import "strings"

// fits reports whether a whole name is what a pattern of GitLab's stands for.
// '*' is any run of characters, none and slashes included; whatever else is in
// the pattern stands for itself, byte by byte
// (https://docs.gitlab.com/user/project/repository/branches/protected/).
//
// It goes through the name once, from left to right: what is between two stars
// may as well be taken where it comes first, so there is nothing to try again.
func fits(pattern, name string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	last := strings.LastIndexByte(rest, '*') + 1
	name, ok = strings.CutSuffix(name, rest[last:])
	if !ok {
		return false
	}
	for middle := range strings.SplitSeq(rest[:last], "*") {
		_, name, ok = strings.Cut(name, middle)
		if !ok {
			return false
		}
	}
	return true
}
