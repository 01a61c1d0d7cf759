package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// A condition is one key of a rule.
type condition struct {
	key   string
	wants string                // as it stands in the config
	reads []string              // facts that an expression goes by
	fits  func(*subject) truth  // whether a job fits
	shows func(*subject) string // the fact, for people
}

func (c condition) uses(fact string) bool { return c.key == fact || slices.Contains(c.reads, fact) }

// newConditions returns what a job has to be for r to fit. A key that is not
// given makes none.
func newConditions(p *problems, key string, r Rule) []condition {
	var list []condition
	add := func(c condition, given bool) {
		if given {
			list = append(list, c)
		}
	}
	text := func(name string, texts []string, form func(string) string, of func(*subject) Text) {
		g := newGlobs(p, key+"."+name, texts, form)
		add(condition{
			key: name, wants: g.String(),
			fits:  func(s *subject) truth { return of(s).fits(g.match) },
			shows: func(s *subject) string { return singular(name) + " = " + of(s).String() },
		}, given(p, key+"."+name, texts))
	}
	flag := func(name string, want job.Tristate, of func(*subject) Flag) {
		add(condition{
			key: name, wants: strconv.FormatBool(want == job.True),
			fits:  func(s *subject) truth { return of(s).is(want == job.True) },
			shows: func(s *subject) string { return singular(name) + " = " + of(s).String() },
		}, want != job.Unset)
	}
	text("projects", r.Projects, anyCase, func(s *subject) Text { return Certain(s.Project) })
	text("refs", r.Refs, refForm, (*subject).ref)
	flag("protected", r.Protected, func(s *subject) Flag { return s.Protected })
	text("sources", r.Sources, asIs, func(s *subject) Text { return s.Source })
	flag("forks", r.Forks, func(s *subject) Flag { return s.Fork })
	text("users", r.Users, anyCase, func(s *subject) Text { return s.User })
	add(userIDs(p, key+".user_ids", r.UserIDs), given(p, key+".user_ids", r.UserIDs))
	text("jobs", r.Jobs, oneWord, func(s *subject) Text { return Certain(s.Job) })
	text("environments", r.Environments, oneWord, func(s *subject) Text { return s.Environment })
	flag("environment_protected", r.EnvironmentProtected, func(s *subject) Flag { return s.EnvironmentProtected })
	add(jobTags(p, key+".tags", r.Tags), given(p, key+".tags", r.Tags))
	add(ownImages(p, key+".images", r), given(p, key+".images", r.Images))
	if r.Expression != "" {
		list = append(list, newExpression(p, key+".expression", r))
	}
	return list
}

// singular is how a fact is called that a list of patterns is for.
func singular(name string) string { return strings.TrimSuffix(name, "s") }

// given reports whether a list is a condition. An empty one would read like a
// condition that nobody fits, and be none.
func given[T any](p *problems, key string, list []T) bool {
	if list != nil && len(list) == 0 {
		p.add(key, "empty; write what fits, or take the key out: without it every job fits")
	}
	return len(list) > 0
}

func userIDs(p *problems, key string, ids []int64) condition {
	for i, id := range ids {
		if id < 1 {
			p.add(element(key, i), "%d is no user's number; write one from 1", id)
		}
	}
	return condition{
		key: "user_ids", wants: strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", " or "), "[]"),
		fits: func(s *subject) truth {
			if s.UserID == 0 {
				return unknown
			}
			return truthOf(slices.Contains(ids, s.UserID))
		},
		shows: func(s *subject) string { return "user_id = " + strconv.FormatInt(s.UserID, 10) },
	}
}

func jobTags(p *problems, key string, texts []string) condition {
	g := newGlobs(p, key, texts, oneWord)
	return condition{
		key: "tags", wants: g.String(),
		fits: func(s *subject) truth {
			if !s.TagsKnown {
				return unknown
			}
			return truthOf(slices.ContainsFunc(s.Tags, g.match))
		},
		shows: func(s *subject) string {
			if !s.TagsKnown {
				return "tags = unknown (only GitLab can tell)"
			}
			return fmt.Sprintf("tags = %q", s.Tags)
		},
	}
}

// ownImages is for all of the job's images where the rule lets a job run, and
// for any of them where it does not.
func ownImages(p *problems, key string, r Rule) condition {
	l := newList(p, key, r.Images)
	fits := func(s *subject) truth {
		least := yes
		for i := range s.images {
			least = min(least, s.images[i].truth(l.allows, s.pending, no))
		}
		return least
	}
	if r.Action == Deny {
		fits = func(s *subject) truth {
			worst := no
			for i := range s.images {
				worst = max(worst, s.images[i].truth(l.denies, s.pending, yes))
			}
			return worst
		}
	}
	return condition{
		key: "images", wants: strings.Join(r.Images, " or "), fits: fits,
		shows: func(s *subject) string {
			var names []string
			for _, im := range s.images {
				names = append(names, im.String())
			}
			return "images = " + strings.Join(names, ", ")
		},
	}
}
