package policy

import (
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func rules(t *testing.T, c Config) *Rules {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// imageFacts are those of a job that has nothing but an image.
func imageFacts(name string) Facts { return Facts{Image: Image{Name: name, Service: Build}} }

func TestDecideImages(t *testing.T) {
	tests := []struct {
		name    string
		allowed string // patterns, space-separated
		image   string
		deny    bool
	}{
		{name: "exact", allowed: "ruby:3", image: "ruby:3"},
		{name: "other tag", allowed: "ruby:3", image: "ruby:2", deny: true},
		{name: "any tag", allowed: "ruby:*", image: "ruby:2"},
		{name: "any tag means any digest", allowed: "ruby:*", image: "ruby@" + digest},
		{name: "no tag is latest", allowed: "ruby", image: "ruby:latest"},
		{name: "no tag is not any tag", allowed: "ruby", image: "ruby:3", deny: true},
		{name: "default registry written out", allowed: "ruby:3", image: "docker.io/library/ruby:3"},
		{name: "default registry in the pattern", allowed: "docker.io/library/ruby:3", image: "ruby:3"},
		{name: "default registry without library", allowed: "docker.io/ruby:3", image: "ruby:3"},
		{name: "old name of the default registry", allowed: "ruby:3", image: "index.docker.io/library/ruby:3"},
		{name: "upper-case host", allowed: "registry.example.com/ci/go:1", image: "REGISTRY.example.com/ci/go:1"},
		{name: "upper-case path is no image", allowed: "**", image: "ruby/Evil:3", deny: true},
		{name: "one element", allowed: "registry.example.com/ci/*", image: "registry.example.com/ci/go:1.26"},
		{name: "star stays in its element", allowed: "registry.example.com/ci/*", image: "registry.example.com/ci/a/b:1", deny: true},
		{name: "double star goes deeper", allowed: "registry.example.com/ci/**", image: "registry.example.com/ci/a/b:1"},
		{name: "prefix is not a path element", allowed: "registry.example.com/ci/**", image: "registry.example.com/cirrus/x", deny: true},
		{name: "host is not a prefix", allowed: "registry.example.com/**", image: "registry.example.com.evil.net/x", deny: true},
		{name: "port belongs to the host", allowed: "registry.example.com/**", image: "registry.example.com:5000/x", deny: true},
		{name: "port and tag", allowed: "registry.example.com:5000/ci/*:1", image: "registry.example.com:5000/ci/go:1"},
		{name: "tag with digest runs the digest", allowed: "ruby:3", image: "ruby:3@" + digest, deny: true},
		{name: "digest", allowed: "ruby@" + digest, image: "ruby:3@" + digest},
		{name: "everything", allowed: "**", image: "anything.example.com/a/b/c:9"},
		{name: "everything of a depth", allowed: "**/*", image: "redis:7"},
		{name: "star is docker hub's library", allowed: "*", image: "evil.example.com/x", deny: true},
		{name: "alternatives with colons", allowed: "{ruby:3,go:1.{25,26}}", image: "go:1.26"},
		{name: "alternatives", allowed: "{ruby:3,go:1.{25,26}}", image: "go:1.24", deny: true},
		{name: "variable left over", allowed: "**", image: "$IMAGE", deny: true},
		{name: "unicode host", allowed: "**", image: "régistry.example.com/x:1", deny: true},
		{name: "second pattern", allowed: "ruby:3 go:1", image: "go:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rules(t, Config{AllowedImages: strings.Fields(tt.allowed)})
			d := r.Decide(imageFacts(tt.image))
			if d.Denied() != tt.deny {
				t.Errorf("Decide(%q) with %q: denied = %v (%s), want %v", tt.image, tt.allowed, d.Denied(), d.Reason, tt.deny)
			}
			if d.Denied() && (d.Rule != RuleImages || !strings.Contains(d.Fact, tt.image)) {
				t.Errorf("decision %+v does not name the rule and what was asked", d)
			}
		})
	}
}

func TestDefaultImageIsAlwaysAllowed(t *testing.T) {
	r := rules(t, Config{AllowedImages: []string{"ruby:3"}, DefaultImage: "debian:12"})
	if d := r.Decide(imageFacts("docker.io/library/debian:12")); d.Denied() {
		t.Errorf("default image: %s", d.Reason)
	}
}

func TestDecideServices(t *testing.T) {
	r := rules(t, Config{AllowedServices: []string{"postgres:*"}})
	f := imageFacts("anything")
	f.Services = []Image{{Name: "postgres:16"}, {Name: "redis:7", Service: 1}}
	d := r.Decide(f)
	if d.Rule != RuleServices || d.Fact != "service = redis:7 (in full: docker.io/library/redis:7)" {
		t.Errorf("decision = %+v, want redis:7 denied by %s", d, RuleServices)
	}
	f.Services = f.Services[:1]
	if d := r.Decide(f); d.Denied() {
		t.Errorf("allowed service: %s", d.Reason)
	}
}

func TestDecideProtected(t *testing.T) {
	r := rules(t, Config{ProtectedOnly: true, Contact: "#platform"})
	f := imageFacts("ruby")
	f.Ref = "refs/heads/feature"
	for _, tt := range []struct {
		protected Flag
		deny      bool
	}{{FlagOf(true), false}, {FlagOf(false), true}, {Doubtful("GitLab is away"), true}} {
		f.Protected = tt.protected
		d := r.Decide(f)
		if d.Denied() != tt.deny {
			t.Errorf("protected = %v: denied = %v, want %v", tt.protected, d.Denied(), tt.deny)
		}
		text := strings.Join(d.Lines(), "\n")
		if tt.deny && (!strings.Contains(text, "feature") || !strings.Contains(text, "#platform") || !strings.Contains(text, tt.protected.Doubt)) {
			t.Errorf("explanation does not name the ref, the contact and the doubt:\n%s", text)
		}
	}
}

func TestDecideUsers(t *testing.T) {
	tests := []struct {
		name          string
		users, groups []string
		asked         string
		rule          string // that denies; "" means allowed
	}{
		{name: "the image's own", asked: ""},
		{name: "anybody", asked: "1000:1000"},
		{name: "root has to be listed", asked: "0", rule: RuleUsers},
		{name: "root in disguise", asked: "000", rule: RuleUsers},
		{name: "root's group has to be listed", asked: "1000:0", rule: RuleGroups},
		{name: "listed root", users: []string{"0"}, asked: "0"},
		{name: "listed", users: []string{"1000", "1001"}, asked: "1001"},
		{name: "not listed", users: []string{"1000"}, asked: "1001", rule: RuleUsers},
		{name: "group not listed", groups: []string{"5"}, asked: "1000:6", rule: RuleGroups},
		{name: "name", asked: "root", rule: RuleUsers},
		{name: "negative", asked: "-1", rule: RuleUsers},
		{name: "only a group", asked: ":0", rule: RuleGroups},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rules(t, Config{AllowedUsers: tt.users, AllowedGroups: tt.groups})
			d := r.Decide(Facts{Image: Image{Name: "ruby", User: tt.asked, Service: Build}})
			if !d.Denied() {
				d.Rule = ""
			}
			if d.Rule != tt.rule {
				t.Errorf("user %q denied by %q (%s), want %q", tt.asked, d.Rule, d.Reason, tt.rule)
			}
		})
	}
}

func TestConfiguredServicesAreTheOperators(t *testing.T) {
	r := rules(t, Config{AllowedServices: []string{"postgres:*"}})
	plan := &job.Plan{Image: job.Image{Name: "ruby"}, Services: []job.Service{{Image: job.Image{Name: "proxy:1"}, Configured: true}}}
	if d := r.Decide(FactsOf(&job.Job{}, plan)); d.Denied() {
		t.Errorf("the operator's own service: %s", d.Reason)
	}
}

func TestBadPatterns(t *testing.T) {
	_, err := New(Config{AllowedImages: []string{"ok", "a[", ""}, AllowedServices: []string{"{a,b"}})
	if err == nil {
		t.Fatal("New accepts broken patterns")
	}
	for _, want := range []string{`kubernetes.allowed_images[1]: pattern "a["`, `kubernetes.allowed_images[2]: pattern ""`, `kubernetes.allowed_services[0]: pattern "{a,b"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}
