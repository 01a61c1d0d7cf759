package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// Facts are what rules decide by.
type Facts struct {
	Project   string // full path
	ProjectID int64
	Ref       string // in full: "refs/heads/main", "refs/tags/v1", "refs/merge-requests/1/head"
	OtherRef  string // what Ref may be as well; "" when it is certain
	Job       string // name
	Stage     string

	Protected            Flag // the ref
	Source               Text // of the pipeline
	Fork                 Flag // a merge request from another project
	User                 Text // login of whoever started the job
	UserID               int64
	Environment          Text // "" for a job without one
	EnvironmentProtected Flag
	Tags                 []string // of the job
	TagsKnown            bool

	Image    Image   // Name is "" where jobs run without images
	Services []Image // the job's own, not the operator's
}

// A Text is a fact as far as it is known: all values that it may have. One means
// that it is certain, none that it may be anything.
type Text struct {
	Values []string
	Doubt  string // why there is not one value
}

// Certain returns a Text that is known.
func Certain(value string) Text { return Text{Values: []string{value}} }

// Uncertain returns a Text that may be anything.
func Uncertain(doubt string) Text { return Text{Doubt: doubt} }

// known returns the one value.
func (t Text) known() (string, bool) {
	if len(t.Values) != 1 {
		return "", false
	}
	return t.Values[0], true
}

// String returns the value in quotes, or why it is not known.
func (t Text) String() string {
	if v, ok := t.known(); ok {
		return strconv.Quote(v)
	}
	return t.Plain()
}

// Plain returns the value as it is, or why it is not known.
func (t Text) Plain() string {
	if v, ok := t.known(); ok {
		return v
	}
	return "unknown (" + t.Doubt + ")"
}

// fits reports whether what is known has the property.
func (t Text) fits(property func(string) bool) truth {
	if len(t.Values) == 0 {
		return unknown
	}
	n := 0
	for _, v := range t.Values {
		if property(v) {
			n++
		}
	}
	switch n {
	case 0:
		return no
	case len(t.Values):
		return yes
	}
	return unknown
}

// A Flag is a fact that holds or does not, as far as it is known.
type Flag struct {
	Value job.Tristate
	Doubt string // why it is Unset
}

// FlagOf returns a Flag that is known.
func FlagOf(b bool) Flag {
	if b {
		return Flag{Value: job.True}
	}
	return Flag{Value: job.False}
}

// Doubtful returns a Flag that is not known.
func Doubtful(why string) Flag { return Flag{Doubt: why} }

// String returns the value, or why it is not known.
func (f Flag) String() string {
	if f.Value == job.Unset {
		return "unknown (" + f.Doubt + ")"
	}
	return strconv.FormatBool(f.Value == job.True)
}

func (f Flag) is(want bool) truth {
	if f.Value == job.Unset {
		return unknown
	}
	return truthOf((f.Value == job.True) == want)
}

// An Image is what a container runs.
type Image struct {
	Name    string // as the job names it, with its variables expanded
	Digest  string // what Name's tag stands for; "" unless somebody has looked
	User    string // "uid" or "uid:gid" that the job asks for
	Service int    // position in the plan's services; -1 for the job's image
}

// Full returns the name in its one canonical form, with registry, path, and tag
// or digest. What is looked up by it is what was judged.
func (i Image) Full() (string, error) {
	im, err := parseImage(i.Name)
	return im.String(), err
}

// Reference returns what a container runtime is asked for: the digest, where it
// is known.
func (i Image) Reference() string {
	if i.Digest == "" {
		return i.Name
	}
	parsed, err := parseImage(i.Name)
	if err != nil {
		return i.Name
	}
	return parsed.repository + "@" + i.Digest
}

// Images are all that the job itself brings: its own image, unless jobs run
// without one, and its services'.
func (f Facts) Images() []Image {
	var list []Image
	if f.Image.Name != "" {
		list = append(list, f.Image)
	}
	return append(list, f.Services...)
}

// Build is the Image.Service of the job's own image.
const Build = -1

// FactsOf returns what the payload says of a job, and the images of its plan.
// Tags and whether an environment is protected it does not say; whether a job
// has the environment that it names only GitLab can tell.
func FactsOf(j *job.Job, p *job.Plan) Facts {
	ref, other := fullRef(j)
	f := Facts{
		Project: j.ProjectPath, ProjectID: j.ProjectID, Ref: ref, OtherRef: other, Job: j.Name, Stage: j.Stage,
		Protected: Flag{Value: j.Git.Protected}, Fork: fork(j), UserID: j.UserID,
		Source:               said(j.Variables, "CI_PIPELINE_SOURCE"),
		User:                 said(j.Variables, "GITLAB_USER_LOGIN"),
		Environment:          environment(j.Variables),
		EnvironmentProtected: Doubtful("only GitLab can tell"),
		Image:                Image{Name: p.Image.Name, User: p.Image.User, Service: Build},
	}
	if f.Protected.Value == job.Unset {
		f.Protected.Doubt = "GitLab does not say it, or a variable contradicts it"
	}
	if f.UserID == 0 {
		f.User = Uncertain("GitLab names no user") // so whoever it is has set the variable
	}
	for i, s := range p.Services {
		if !s.Configured {
			f.Services = append(f.Services, Image{Name: s.Name, User: s.User, Service: i})
		}
	}
	return f
}

// said returns a variable that GitLab always sends. Anybody may add one of the
// same name, but nobody can take GitLab's away: where all agree, it is true.
func said(vars []job.Variable, key string) Text {
	values := valuesOf(vars, key)
	switch len(values) {
	case 0:
		return Uncertain("GitLab did not send " + key)
	case 1:
		return Certain(values[0])
	}
	return Text{Values: values, Doubt: fmt.Sprintf("%s is set by the job as well: %s", key, quoted(values))}
}

// environment returns the name of the job's environment. GitLab sends it only
// where there is one: a name alone may be somebody's invention.
func environment(vars []job.Variable) Text {
	const key = "CI_ENVIRONMENT_NAME"
	values := valuesOf(vars, key)
	if len(values) == 0 {
		return Certain("")
	}
	return Text{
		Values: append(values, ""),
		Doubt:  fmt.Sprintf("%s says %s, but a job's author can set it", key, quoted(values)),
	}
}

func valuesOf(vars []job.Variable, key string) []string {
	var values []string
	for _, v := range vars {
		if v.Key == key && !slices.Contains(values, v.Value) {
			values = append(values, v.Value)
		}
	}
	return values
}

// fork reports whether the job is for a merge request from another project. The
// variable that says so can be added to, but not taken away.
func fork(j *job.Job) Flag {
	const key = "CI_MERGE_REQUEST_SOURCE_PROJECT_ID"
	values := valuesOf(j.Variables, key)
	own := slices.Contains(values, strconv.FormatInt(j.ProjectID, 10))
	ref, _ := fullRef(j)
	merges := strings.HasPrefix(ref, mergeRequests)
	switch {
	case len(values) == 0 && merges:
		return Doubtful("GitLab did not send " + key)
	case len(values) == 0, own && len(values) == 1:
		return FlagOf(false)
	case own, !merges:
		return Doubtful(fmt.Sprintf("%s is set by the job: %s", key, quoted(values)))
	}
	return FlagOf(true)
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}
