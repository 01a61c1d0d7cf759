package policycase

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// A File is one file of cases.
type File struct {
	Path    string `toml:"-"`
	Config  string `toml:"config"`  // of the policy, beside the file; "" means the caller's
	Runner  string `toml:"runner"`  // name of the entry in the config; "" means the only one
	Payload string `toml:"payload"` // of the ordinary job, beside the file; "" means a built-in one
	Cases   []Case `toml:"case"`
}

// A Case is one job and what is expected of the policy.
type Case struct {
	Name      string     `toml:"name"`
	Expect    string     `toml:"expect"`    // allow, deny or shape
	Rule      string     `toml:"rule"`      // that decides; "" is not checked
	Placement Placement  `toml:"placement"` // of a shape; what is "" is not checked
	Job       Job        `toml:"job"`
	Variables []Variable `toml:"variables"` // behind GitLab's own, as a job's author sets them

	Merge      map[string]any `toml:"merge"`       // into the payload, as an RFC 7386 merge patch
	Remove     []string       `toml:"remove"`      // from the payload, in the end: "git_info.protected"
	GitLabAway bool           `toml:"gitlab_away"` // GitLab does not answer when it is asked
	PodImage   string         `toml:"pod_image"`   // what the pod would run when something has changed it behind the decision
}

// A Placement is what a shape is expected to say.
type Placement struct {
	Namespace      string            `toml:"namespace"`
	ServiceAccount string            `toml:"service_account"`
	NodeSelector   map[string]string `toml:"node_selector"`
	ResourceClass  string            `toml:"resource_class"`
	NetworkTier    string            `toml:"network_tier"`
	CacheTier      string            `toml:"cache_tier"`
}

// A Job is what differs from the ordinary job, as GitLab knows it.
type Job struct {
	Project  string   `toml:"project"`  // full path
	Ref      string   `toml:"ref"`      // branch, or a whole ref such as "refs/tags/v1"
	RefKind  string   `toml:"ref_kind"` // branch, tag or merge_request, where Ref does not say it
	Source   string   `toml:"source"`
	User     string   `toml:"user"`
	UserID   int64    `toml:"user_id"`
	Name     string   `toml:"name"`
	Stage    string   `toml:"stage"`
	Image    string   `toml:"image"`
	Services []string `toml:"services"`

	Protected            *bool    `toml:"protected"`
	Fork                 bool     `toml:"fork"` // of a merge request
	Environment          string   `toml:"environment"`
	EnvironmentProtected bool     `toml:"environment_protected"`
	Tags                 []string `toml:"tags"`
}

// A Variable is one that the job's author sets.
type Variable struct {
	Key   string `toml:"key"`
	Value string `toml:"value"`
}

// Load reads every *.toml in dir and below, but for files called config.toml or
// *.config.toml, in the order of their names. Every error says where it is.
func Load(dir string) ([]File, error) {
	var files []File
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".toml") || strings.HasSuffix("."+d.Name(), ".config.toml") {
			return err
		}
		f, err := read(path)
		files = append(files, f)
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: no cases; write them into files that end in .toml", dir)
	}
	return files, err
}

func read(path string) (File, error) {
	f := File{Path: path}
	meta, err := toml.DecodeFile(path, &f)
	if perr, ok := errors.AsType[toml.ParseError](err); ok {
		return f, fmt.Errorf("%s:%d: %s", path, perr.Position.Line, perr.Message)
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	for _, key := range meta.Undecoded() {
		if len(key) < 2 || key[1] != "merge" {
			return f, fmt.Errorf("%s: unknown key %q; see runnerd policy test --help", path, key)
		}
	}
	if len(f.Cases) == 0 {
		return f, fmt.Errorf("%s: no [[case]]", path)
	}
	for i, c := range f.Cases {
		if err := c.check(); err != nil {
			return f, fmt.Errorf("%s: case %d %q: %w", path, i+1, c.Name, err)
		}
	}
	return f, nil
}

func (c Case) check() error {
	switch {
	case c.Name == "":
		return errors.New("name is missing; say what the case shows")
	case c.Expect != "allow" && c.Expect != "deny" && c.Expect != "shape":
		return fmt.Errorf("expect = %q; write allow, deny or shape", c.Expect)
	case c.Job.Fork && c.kind() != "merge_request":
		return errors.New("fork = true goes with the ref of a merge request, such as \"refs/merge-requests/1/head\"")
	case slices.ContainsFunc(c.Variables, func(v Variable) bool { return v.Key == "" }):
		return errors.New("a variable has no key; write { key = \"NAME\", value = \"text\" }")
	case !slices.Contains([]string{"", "branch", "tag", "merge_request"}, c.Job.RefKind):
		return fmt.Errorf("ref_kind = %q; write branch, tag or merge_request", c.Job.RefKind)
	}
	return nil
}

// kind returns that of the job's ref.
func (c Case) kind() string {
	switch {
	case c.Job.RefKind != "":
		return c.Job.RefKind
	case strings.HasPrefix(c.Job.Ref, "refs/tags/"):
		return "tag"
	case strings.HasPrefix(c.Job.Ref, "refs/merge-requests/"):
		return "merge_request"
	}
	return "branch"
}

// Beside returns a path that f names, seen from where f lies.
func (f File) Beside(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.Path), path)
}
