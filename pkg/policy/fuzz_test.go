package policy

import (
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

// FuzzNormalize: an image's canonical form is its own canonical form, and that
// of every way to write it.
func FuzzNormalize(f *testing.F) {
	for _, name := range []string{
		"ruby", "ruby:3", "A/a", "Docker.io/redis", "INDEX.docker.io/library/x:1", "localhost/x", "LOCALHOST:5/x", "[::1]:5000/x",
		"a.b:443/x@" + digest, "x:y@" + digest, "xn--e1aybc.example/x", "régistry/x", "docker.io./x", "a/../b", "REG/x",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		im, err := parseImage(name)
		if err != nil {
			return
		}
		again, err := parseImage(im.String())
		if err != nil || again != im {
			t.Errorf("canonical form of %q is %q, which parses to %+v, %v", name, im, again, err)
		}
		if identity(im.identity) != im.identity {
			t.Errorf("identity of %q is %q, and that of this %q", name, im.identity, identity(im.identity))
		}
	})
}

// FuzzCanonicalIsAllowed: what is allowed under some name is allowed under its
// canonical one, what is denied is denied, and nothing panics.
func FuzzCanonicalIsAllowed(f *testing.F) {
	f.Add("ruby:3", "registry.example.com/ci/*")
	f.Add("A.B/c:1", "a.b/**")
	f.Add("x@"+digest, "{x,b:{1,2}}@*")
	f.Add("Docker.io/redis", "redis")
	f.Add("[::1]:5000/x", "[::1]:5000/*")
	f.Fuzz(func(t *testing.T, name, glob string) {
		im, err := parseImage(name)
		if err != nil {
			return
		}
		for _, c := range []Config{{AllowedImages: []string{glob}}, {DeniedImages: []string{glob}, Pins: true}} {
			r, err := New(c)
			if err != nil {
				continue
			}
			asked, canonical := r.Decide(imageFacts(name)), r.Decide(imageFacts(im.String()))
			if asked.Denied() != canonical.Denied() {
				t.Errorf("%q is %s by %q, and %q is %s", name, asked.Outcome(), glob, im, canonical.Outcome())
			}
		}
	})
}

// FuzzOrder: of two rules that fit, the first decides; a rule that does not fit
// changes nothing, wherever it stands.
func FuzzOrder(f *testing.F) {
	f.Add("group/a", "main", "push", "group/**", "ma*", true, false)
	f.Add("x", "refs/tags/v1", "", "[a", "*", false, true)
	f.Fuzz(func(t *testing.T, project, ref, source, projects, refs string, firstDenies, unsure bool) {
		facts := Facts{Project: project, Ref: refForm(ref), Source: Certain(source), Image: Image{Name: "ruby", Service: Build}}
		if unsure {
			facts.Source = Uncertain("x")
		}
		action := map[bool]Action{true: Deny, false: Allow}
		first := Rule{Name: "first", Action: action[firstDenies], Projects: []string{projects}}
		second := Rule{Name: "second", Action: action[!firstDenies], Refs: []string{refs}, Sources: []string{source, "x"}}
		decide := func(rules ...Rule) (Decision, bool) {
			r, err := New(Config{Rules: rules, DefaultDeny: true})
			if err != nil {
				return Decision{}, false
			}
			return r.Decide(facts), true
		}
		both, ok := decide(first, second)
		if !ok {
			return
		}
		alone, _ := decide(first)
		other, _ := decide(second)
		want := other
		if alone.Rule == "first" {
			want = alone
		}
		if both.Rule != want.Rule || both.Action != want.Action {
			t.Errorf("both rules: %s by %s; first alone: %s by %s; second alone: %s by %s", both.Outcome(), both.Rule, alone.Outcome(), alone.Rule, other.Outcome(), other.Rule)
		}
		never := Rule{Name: "never", Action: action[firstDenies], Projects: []string{"no/such/project"}, Refs: []string{"none"}}
		if strings.Contains(project, "/such/") {
			return
		}
		if with, _ := decide(first, never, second); with.Rule != both.Rule {
			t.Errorf("a rule that does not fit changes the decision from %s to %s", both.Rule, with.Rule)
		}
	})
}

// FuzzExpression: no expression and no fact makes a panic, and what is not
// known never allows.
func FuzzExpression(f *testing.F) {
	f.Add(`project.startsWith("a") && user == "x"`, "a", "x", true)
	f.Add(`images.all(i, i.matches("^docker.io/.*$")) || protected`, "ruby", "\xff", false)
	f.Add(`[1,2,3].map(x, x / 0).size() > 0`, "", "", true)
	f.Fuzz(func(t *testing.T, expression, image, user string, known bool) {
		if len(expression) > 512 {
			return
		}
		r, err := New(Config{Rules: []Rule{{Name: "e", Action: Allow, Expression: expression}}, DefaultDeny: true})
		if err != nil {
			return
		}
		facts := Facts{Image: Image{Name: image, Service: Build}, User: Certain(user)}
		if !known {
			facts.User = Uncertain("x")
		}
		d := r.Decide(facts)
		if d.Denied() {
			return
		}
		// Whatever a fact that is not known may be, the answer is the same.
		for _, value := range []string{"", user, "root"} {
			facts.User = Certain(value)
			if !known && r.Decide(facts).Denied() {
				t.Errorf("%q allows a job of an unknown user, and denies one of %q", expression, value)
			}
		}
	})
}

// FuzzFacts: no payload makes a panic, and no variable makes a ref protected.
func FuzzFacts(f *testing.F) {
	f.Add("main", "branch", "CI_COMMIT_REF_PROTECTED", "true", "+refs/heads/main:x")
	f.Add("refs/merge-requests/1/head", "branch", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "9", "")
	f.Fuzz(func(t *testing.T, ref, kind, key, value, refspec string) {
		j := &job.Job{Git: job.Git{Ref: ref, RefType: kind, Refspecs: []string{refspec}, Protected: job.False}, Variables: vars(key, value)}
		facts := FactsOf(j, &job.Plan{Image: job.Image{Name: value}})
		r, err := New(Config{ProtectedOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if d := r.Decide(facts); !d.Denied() {
			t.Errorf("a job of an unprotected ref is %s", d.Outcome())
		}
		if got, name := facts.RefName(); kind == "tag" && (got != KindTag || name != ref) {
			t.Errorf("tag %q is taken for %s %q", ref, got, name)
		}
	})
}
