package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

// deployJob are the facts of a job that deploys from a protected branch.
func deployJob() Facts {
	return Facts{
		Project: "Group/Shop", ProjectID: 7, Ref: "refs/heads/main", Job: "deploy 1/2", Stage: "deploy",
		Protected: FlagOf(true), Source: Certain("push"), Fork: FlagOf(false), User: Certain("Alice"), UserID: 3,
		Environment: Certain("review/x"), EnvironmentProtected: FlagOf(true), Tags: []string{"gpu"}, TagsKnown: true,
		Image: Image{Name: "ruby:3", Service: Build},
	}
}

func TestConditions(t *testing.T) {
	tests := []struct {
		name string
		rule Rule
		want truth // for a rule that allows
		deny truth // for one that denies
	}{
		{"no condition", Rule{}, yes, yes},
		{"project", Rule{Projects: []string{"group/**"}}, yes, yes},
		{"project in other letters", Rule{Projects: []string{"GROUP/shop"}}, yes, yes},
		{"other project", Rule{Projects: []string{"group2/**", "x"}}, no, no},
		{"prefix is no path element", Rule{Projects: []string{"group/sho"}}, no, no},
		{"branch", Rule{Refs: []string{"release/*", "main"}}, yes, yes},
		{"whole ref", Rule{Refs: []string{"refs/heads/*"}}, yes, yes},
		{"tag of that name", Rule{Refs: []string{"refs/tags/main"}}, no, no},
		{"branch in other letters", Rule{Refs: []string{"Main"}}, no, no},
		{"protected", Rule{Protected: job.True}, yes, yes},
		{"unprotected", Rule{Protected: job.False}, no, no},
		{"source", Rule{Sources: []string{"web", "push"}}, yes, yes},
		{"other source", Rule{Sources: []string{"schedule"}}, no, no},
		{"no fork", Rule{Forks: job.False}, yes, yes},
		{"user in other letters", Rule{Users: []string{"alice"}}, yes, yes},
		{"user's number", Rule{UserIDs: []int64{1, 3}}, yes, yes},
		{"other number", Rule{UserIDs: []int64{1}}, no, no},
		{"job with braces in its name", Rule{Jobs: []string{`deploy\{*`, "{x,deploy} 1/?"}}, yes, yes},
		{"job: a star reaches across a slash", Rule{Jobs: []string{"deploy *"}}, yes, yes},
		{"environment: a star reaches across a slash", Rule{Environments: []string{"rev*"}}, yes, yes},
		{"protected environment", Rule{EnvironmentProtected: job.True}, yes, yes},
		{"tag", Rule{Tags: []string{"cpu", "gpu"}}, yes, yes},
		{"image", Rule{Images: []string{"docker.io/library/ruby:*"}}, yes, yes},
		{"a name without a tag is latest to allow, and every tag to deny", Rule{Images: []string{"ruby"}}, no, yes},
		{"all conditions have to hold", Rule{Projects: []string{"group/**"}, Refs: []string{"x"}}, no, no},
		{"expression", Rule{Expression: `project.startsWith("Group/") && user_id == 3 && protected`}, yes, yes},
		{"expression that does not hold", Rule{Expression: `"cpu" in tags || images.exists(i, i.startsWith("docker.io/evil/"))`}, no, no},
		{"expression over an index that is not there", Rule{Expression: `services[0] == "x"`}, unknown, unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for action, want := range map[Action]truth{Allow: tt.want, Deny: tt.deny} {
				tt.rule.Name, tt.rule.Action = "rule", action
				r := rules(t, Config{Rules: []Rule{tt.rule}, AsksGitLab: true})
				if got := r.rules[0].fits(newSubject(deployJob(), false)); got != want {
					t.Errorf("%s: fits = %v, want %v", action, got, want)
				}
			}
		})
	}
}

// TestUncertainFactsCountAgainstTheJob: whatever is not known, a rule that
// allows does not fit, and one that denies does.
func TestUncertainFactsCountAgainstTheJob(t *testing.T) {
	tests := []struct {
		name  string
		rule  Rule
		doubt func(*Facts)
	}{
		{"protected", Rule{Protected: job.True}, func(f *Facts) { f.Protected = Doubtful("x") }},
		{"not protected", Rule{Protected: job.False}, func(f *Facts) { f.Protected = Doubtful("x") }},
		{"source", Rule{Sources: []string{"push"}}, func(f *Facts) { f.Source = Text{Values: []string{"push", "web"}, Doubt: "x"} }},
		{"source that is missing", Rule{Sources: []string{"push"}}, func(f *Facts) { f.Source = Uncertain("x") }},
		{"user", Rule{Users: []string{"alice"}}, func(f *Facts) { f.User = Text{Values: []string{"alice", "bob"}, Doubt: "x"} }},
		{"user's number", Rule{UserIDs: []int64{3}}, func(f *Facts) { f.UserID = 0 }},
		{"fork", Rule{Forks: job.False}, func(f *Facts) { f.Fork = Doubtful("x") }},
		{"environment", Rule{Environments: []string{"review/*"}}, func(f *Facts) { f.Environment = Text{Values: []string{"review/x", ""}, Doubt: "x"} }},
		{"protected environment", Rule{EnvironmentProtected: job.True}, func(f *Facts) { f.EnvironmentProtected = Doubtful("x") }},
		{"tags", Rule{Tags: []string{"gpu"}}, func(f *Facts) { f.TagsKnown = false }},
		{"one of two conditions", Rule{Refs: []string{"main"}, Users: []string{"alice"}}, func(f *Facts) { f.User = Uncertain("x") }},
		{"expression", Rule{Expression: `user == "Alice"`}, func(f *Facts) { f.User = Uncertain("x") }},
		{"expression that negates", Rule{Expression: `!(user == "Bob")`}, func(f *Facts) { f.User = Uncertain("x") }},
		{"expression over tags", Rule{Expression: `!("cpu" in tags)`}, func(f *Facts) { f.TagsKnown = false }},
		{"expression over an image that is none", Rule{Expression: `!image.startsWith("docker.io/evil")`}, func(f *Facts) { f.Image.Name = "A//b" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := deployJob()
			tt.rule.Name = "rule"
			for _, certain := range []bool{true, false} {
				if !certain {
					tt.doubt(&f)
				}
				tt.rule.Action = Allow
				allow := rules(t, Config{Rules: []Rule{tt.rule}, DefaultDeny: true, AsksGitLab: true}).Decide(f)
				if allow.Denied() != (!certain || tt.name == "not protected") {
					t.Errorf("certain = %v: a rule that allows gives %s (%s)", certain, allow.Outcome(), allow.Fact)
				}
				tt.rule.Action = Deny
				if d := rules(t, Config{Rules: []Rule{tt.rule}, AsksGitLab: true}).Decide(f); !certain && !d.Denied() {
					t.Errorf("a rule that denies lets an uncertain job through: %+v", d)
				}
			}
		})
	}
}

// An expression whose result does not depend on what is unknown is certain.
func TestExpressionsPassOverWhatDoesNotMatter(t *testing.T) {
	f := deployJob()
	f.User = Uncertain("x")
	r := rules(t, Config{Rules: []Rule{{Name: "r", Action: Allow, Expression: `protected || user == "Alice"`}}, DefaultDeny: true})
	if d := r.Decide(f); d.Denied() {
		t.Errorf("denied: %s", d.Reason)
	}
}

func TestFirstRuleDecides(t *testing.T) {
	r := rules(t, Config{DefaultDeny: true, Contact: "#platform", Rules: []Rule{
		{Name: "forks", Action: Deny, Forks: job.True, Reason: "forks do not run here"},
		{Name: "deploys", Action: Shape, Refs: []string{"main"}, Protected: job.True, Placement: job.Placement{Namespace: "deploy", CacheTier: "trusted"}},
		{Name: "main", Action: Deny, Refs: []string{"main"}},
		{Name: "others", Action: Allow, Projects: []string{"group/**"}},
	}})
	f := deployJob()
	if d := r.Decide(f); d.Action != Shape || d.Rule != "deploys" || d.Key != "policy.rules[1]" || d.Placement.Namespace != "deploy" {
		t.Errorf("decision = %+v, want the shape of the second rule", d)
	}
	f.Fork = FlagOf(true)
	if d := r.Decide(f); d.Rule != "forks" || d.Reason != "forks do not run here" || d.Fact != "fork = true" {
		t.Errorf("decision = %+v, want the first rule", d)
	}
	f = deployJob()
	f.Protected = FlagOf(false)
	if d := r.Decide(f); d.Rule != "main" || !d.Denied() {
		t.Errorf("decision = %+v, want the third rule", d)
	}
	f.Ref = "refs/heads/x"
	if d := r.Decide(f); d.Action != Allow || d.Rule != "others" {
		t.Errorf("decision = %+v, want the last rule", d)
	}
	f.Project = "else/where"
	d := r.Decide(f)
	want := []string{
		"The policy of this runner denies the job: no rule allows it, and this runner denies what no rule allows.",
		"  rule:    default",
		`  fact:    project = else/where, ref = refs/heads/x, protected = false, source = "push", user = "Alice", job = deploy 1/2, environment = "review/x", image = ruby:3 (in full: docker.io/library/ruby:3)`,
		`  allowed: "deploys": refs = "main" and protected = true, "others": projects = "group/**"`,
		"  contact: #platform",
	}
	if diff := cmp.Diff(want, d.Lines()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// TestDoubtIsNoChoice: a job whose facts are uncertain cannot get another pod by
// that, neither a better one nor an ordinary one.
func TestDoubtIsNoChoice(t *testing.T) {
	sandbox := job.Placement{Namespace: "sandbox"}
	tests := []struct {
		name    string
		config  Config
		outcome string
	}{
		{"a shape that restricts is not skipped", Config{Rules: []Rule{{Name: "web", Action: Shape, Sources: []string{"web"}, Placement: sandbox}}}, "denied"},
		{"nor by the rule behind it", Config{DefaultDeny: true, Rules: []Rule{
			{Name: "web", Action: Shape, Sources: []string{"web"}, Placement: sandbox}, {Name: "all", Action: Allow},
		}}, "denied"},
		{"where both give the same, doubt does not matter", Config{Rules: []Rule{
			{Name: "web", Action: Shape, Sources: []string{"web"}, Placement: sandbox}, {Name: "all", Action: Shape, Placement: sandbox},
		}}, "shaped"},
		{"a rule that allows as the default does", Config{Rules: []Rule{{Name: "web", Action: Allow, Sources: []string{"web"}}}}, "allowed"},
		{"a rule that does not fit anyway", Config{Rules: []Rule{{Name: "web", Action: Shape, Sources: []string{"web"}, Refs: []string{"x"}, Placement: sandbox}}}, "allowed"},
	}
	for _, tt := range tests {
		f := deployJob()
		f.Source = Text{Values: []string{"push", "web"}, Doubt: "CI_PIPELINE_SOURCE is set twice"}
		d := rules(t, tt.config).Decide(f)
		if d.Outcome() != tt.outcome {
			t.Errorf("%s: %s by %s, want %s", tt.name, d.Outcome(), d.Rule, tt.outcome)
		}
		if d.Denied() && (d.Rule != "web" || !strings.Contains(strings.Join(d.Lines(), "\n"), "set twice")) {
			t.Errorf("%s: the log does not say why:\n%s", tt.name, strings.Join(d.Lines(), "\n"))
		}
	}
}

// TestAuditConfines: a job that is denied in a report only gets the pod of one
// that is allowed, and not a better one.
func TestAuditConfines(t *testing.T) {
	sandbox := job.Placement{Namespace: "sandbox", CacheTier: "untrusted"}
	for name, c := range map[string]Config{
		"by a list": {AllowedImages: []string{"go:*"}},
		"by a rule": {Rules: []Rule{{Name: "no", Action: Deny, Jobs: []string{"deploy*"}}}},
	} {
		c.Audit = true
		c.Rules = append(c.Rules, Rule{Name: "sandbox", Action: Shape, Refs: []string{"main"}, Placement: sandbox})
		d := rules(t, c).Decide(deployJob())
		if diff := cmp.Diff(sandbox, d.Placement); diff != "" || !d.WouldBeDenied() {
			t.Errorf("%s: %s, placement (-want +got):\n%s", name, d.Outcome(), diff)
		}
	}
}

// TestExpressionsThatDenySeeOtherNames: as lists of what is denied do.
func TestExpressionsThatDenySeeOtherNames(t *testing.T) {
	rule := Rule{Name: "no hub", Action: Deny, Expression: `images.exists(i, i.startsWith("docker.io/evil/"))`}
	r := rules(t, Config{Rules: []Rule{rule}})
	for _, name := range []string{"evil/miner", "registry-1.docker.io/evil/miner", "docker.io:443/evil/miner", "registry.hub.docker.com/evil/miner:1"} {
		if d := r.Decide(imageFacts(name)); !d.Denied() {
			t.Errorf("%s is %s", name, d.Outcome())
		}
	}
	if d := r.Decide(imageFacts("good.example.com/evil/miner")); d.Denied() {
		t.Errorf("another registry: %s", d.Reason)
	}
}

// TestExpensiveJob: what is too large to be judged is denied.
func TestExpensiveJob(t *testing.T) {
	f := imageFacts("ruby")
	for i := range 64 {
		f.Services = append(f.Services, Image{Name: "redis", Service: i})
	}
	if d := rules(t, Config{}).Decide(f); !d.Denied() || d.Rule != "services" {
		t.Errorf("a job of 65 images is %s by %s", d.Outcome(), d.Rule)
	}
	f.Services = f.Services[:63]
	if d := rules(t, Config{}).Decide(f); d.Denied() {
		t.Errorf("a job of 64 images: %s", d.Reason)
	}
}

func TestAuditDeniesNothing(t *testing.T) {
	r := rules(t, Config{Audit: true, AllowedImages: []string{"go:*"}})
	d := r.Decide(deployJob())
	if d.Denied() || !d.WouldBeDenied() || d.Outcome() != "would_be_denied" || !strings.Contains(d.Lines()[0], "would deny") {
		t.Errorf("decision = %+v, %s", d, d.Outcome())
	}
}

func TestDeniedImages(t *testing.T) {
	const hex = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	tests := []struct {
		denied, image, digest string
		deny                  bool
	}{
		{"miner", "miner", "", true},
		{"miner", "miner:2", "", true},
		{"miner", "miner@" + hex, "", true},
		{"miner", "docker.io/library/miner:2", "", true},
		{"miner", "registry-1.docker.io/library/miner", "", true},
		{"miner", "index.docker.io/miner", "", true},
		{"miner", "docker.io:443/library/miner", "", true},
		{"registry.example.com/x", "registry.example.com:443/x", "", true},
		{"registry.example.com:443/x", "registry.example.com/x:3", "", true},
		{"[::1]:5000/x", "[0:0:0:0:0:0:0:1]:5000/x", "", true},
		{"1.2.3.4/**", "[::ffff:102:304]/x:1", "", true},
		{"miner", "minerals", "", false},
		{"miner:1", "miner:2", "", false},
		{"miner:1", "miner@" + hex, "", true}, // it may be that tag's
		{"**/miner", "evil.example.com/a/b/miner:9", "", true},
		{"miner@" + hex, "miner:1", hex, true},
		{"miner@" + hex, "miner:1", strings.Replace(hex, "e3", "f3", 1), false},
		{"miner", "Miner//x", "", true}, // no name at all
	}
	for _, tt := range tests {
		r := rules(t, Config{DeniedImages: []string{tt.denied}, Pins: true})
		f := imageFacts(tt.image)
		f.Image.Digest = tt.digest
		if d := r.Decide(f); d.Denied() != tt.deny {
			t.Errorf("%q with %q denied: denied = %v (%s)", tt.image, tt.denied, d.Denied(), d.Reason)
		}
	}
}

// TestScreen: a registry is asked only for what may be allowed by its digest.
func TestScreen(t *testing.T) {
	const hex = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	r := rules(t, Config{AllowedImages: []string{"ruby@" + hex, "go:*"}, Pins: true})
	for image, denied := range map[string]bool{"ruby:3": false, "go:1": false, "evil/x": true} {
		if d := r.Screen(imageFacts(image)); d.Denied() != denied {
			t.Errorf("Screen(%q): denied = %v, want %v", image, d.Denied(), denied)
		}
	}
	f := imageFacts("ruby:3")
	if !r.Decide(f).Denied() {
		t.Error("an image is allowed by a digest that nobody has looked up")
	}
	if f.Image.Digest = hex; r.Decide(f).Denied() {
		t.Error("an image is denied whose tag stands for the allowed digest")
	}
	byRule := rules(t, Config{DefaultDeny: true, Pins: true, Rules: []Rule{
		{Name: "no", Action: Deny, Projects: []string{"evil/**"}},
		{Name: "yes", Action: Allow, Images: []string{"ruby@" + hex}},
	}})
	f = imageFacts("ruby:3")
	if byRule.Screen(f).Denied() {
		t.Error("a rule by digest is decided before the digest is known")
	}
	if f.Project = "evil/x"; !byRule.Screen(f).Denied() {
		t.Error("a job that is denied anyway would make the registry talk")
	}
}

// TestPod: what runs is what was judged.
func TestPod(t *testing.T) {
	f := imageFacts("ruby:3")
	f.Services = []Image{{Name: "postgres:16", Service: 1}}
	r := rules(t, Config{AllowedImages: []string{"ruby:*"}, AllowedServices: []string{"postgres:*"}})
	pinned := rules(t, Config{AllowedImages: []string{"ruby:*"}, Pins: true})
	hex := "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	known := f
	known.Image.Digest = hex
	tests := []struct {
		name  string
		rules *Rules
		facts Facts
		ran   []Ran
		deny  string // rule
	}{
		{"as judged", r, f, []Ran{{Build, "ruby:3"}, {1, "postgres:16"}}, ""},
		{"another image", r, f, []Ran{{Build, "evil:3"}, {1, "postgres:16"}}, RuleImages},
		{"another image that is allowed too", r, f, []Ran{{Build, "ruby:2"}}, ""},
		{"another service", r, f, []Ran{{Build, "ruby:3"}, {1, "redis:16"}}, RuleServices},
		{"a service more", r, f, []Ran{{2, "redis:16"}}, RuleServices},
		{"by digest", pinned, known, []Ran{{Build, "docker.io/library/ruby@" + hex}}, ""},
		{"by tag where the digest was judged", pinned, known, []Ran{{Build, "ruby:3"}}, RulePins},
	}
	for _, tt := range tests {
		d := tt.rules.DecidePod(tt.facts, tt.ran)
		if (tt.deny == "") == d.Denied() || tt.deny != "" && d.Rule != tt.deny {
			t.Errorf("%s: %s by %s (%s)", tt.name, d.Outcome(), d.Rule, d.Reason)
		}
	}
}

func TestRuleProblems(t *testing.T) {
	allow := func(r Rule) Config { r.Name, r.Action = "r", Allow; return Config{Rules: []Rule{r}} }
	deny := func(r Rule) Config { r.Name, r.Action = "r", Deny; return Config{Rules: []Rule{r}} }
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{"no name", Config{Rules: []Rule{{Action: Allow}}}, "policy.rules[0].name: missing"},
		{"one name twice", Config{Rules: []Rule{{Name: "a", Action: Deny, Jobs: []string{"x"}}, {Name: "a", Action: Deny}}}, "policy.rules[1].name"},
		{"no action", Config{Rules: []Rule{{Name: "a"}}}, "policy.rules[0].action"},
		{"shape of nothing", Config{Rules: []Rule{{Name: "a", Action: Shape}}}, "shapes nothing"},
		{"allow with a shape", allow(Rule{Placement: job.Placement{Namespace: "x"}}), "policy.rules[0].action"},
		{"reason without a denial", allow(Rule{Reason: "x"}), "policy.rules[0].reason"},
		{"unreachable", Config{Rules: []Rule{{Name: "a", Action: Allow}, {Name: "b", Action: Deny}}}, "never decide"},
		{"glob", allow(Rule{Refs: []string{"ok", "a["}}), `policy.rules[0].refs[1]: pattern "a["`},
		{"empty glob", allow(Rule{Users: []string{""}}), "policy.rules[0].users[0]: empty"},
		{"image", allow(Rule{Images: []string{"Registry.example.com/A/b"}}), "policy.rules[0].images[0]"},
		{"host that is not ASCII", allow(Rule{Images: []string{"régistry.example.com/**"}}), "xn--"},
		{"unknown class", Config{Rules: []Rule{{Name: "a", Action: Shape, Placement: job.Placement{ResourceClass: "huge"}}}}, "resource_class"},
		{"unknown tier", Config{Tiers: []string{"default"}, Rules: []Rule{{Name: "a", Action: Shape, Placement: job.Placement{NetworkTier: "x"}}}}, "network_tier"},
		{"environment that anybody can claim", allow(Rule{Environments: []string{"production"}}), "policy.rules[0].environments"},
		{"tags that nobody knows", deny(Rule{Tags: []string{"gpu"}}), "policy.rules[0].tags"},
		{"expression over tags", deny(Rule{Expression: `"gpu" in tags`}), "policy.rules[0].expression"},
		{"expression: syntax", allow(Rule{Expression: `project ==`}), "policy.rules[0].expression: 1:11"},
		{"expression: type", allow(Rule{Expression: `project == 3`}), "policy.rules[0].expression: 1:9"},
		{"expression: name", allow(Rule{Expression: `projekt == "x"`}), "projekt"},
		{"expression: no boolean", allow(Rule{Expression: `project`}), "is of type string"},
		{"expression: cost", allow(Rule{Expression: `images.all(a, images.all(b, images.all(c, images.all(d, a + b + c + d == ""))))`}), "too long"},
		{"denied digest without pins", Config{DeniedImages: []string{"x@sha256:*"}}, "policy.denied_images[0]"},
		{"rule that denies a digest without pins", deny(Rule{Images: []string{"x@sha256:*"}}), "policy.rules[0].images"},
		{"signature of nothing", Config{Signatures: [][]string{{}}}, "policy.signatures[0].images"},
		{"an empty list is no condition", allow(Rule{Users: []string{}}), "policy.rules[0].users: empty"},
		{"an empty list of numbers", deny(Rule{UserIDs: []int64{}}), "policy.rules[0].user_ids: empty"},
		{"an empty list of images", deny(Rule{Images: []string{}}), "policy.rules[0].images: empty"},
		{"no user's number", deny(Rule{UserIDs: []int64{0}}), "policy.rules[0].user_ids[0]"},
		{"too many alternatives in a glob", deny(Rule{Jobs: []string{strings.Repeat("{a,aa}", 12)}}), "policy.rules[0].jobs[0]"},
		{"long expression", deny(Rule{Expression: strings.Repeat("(", 20<<10)}), "longer than"},
		{"too many alternatives", Config{AllowedImages: []string{strings.Repeat("{a,b}", 12)}}, "alternatives"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New says %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := New(deny(Rule{Environments: []string{"production"}})); err != nil {
		t.Errorf("to deny by an environment's name is safe: %v", err)
	}
}

func TestExplain(t *testing.T) {
	r := rules(t, Config{ProtectedOnly: true, AllowedImages: []string{"ruby:*"}, Rules: []Rule{
		{Name: "a", Action: Deny, Refs: []string{"x"}},
		{Name: "b", Action: Allow, Users: []string{"alice"}},
	}})
	var got []string
	for _, s := range r.Explain(deployJob()) {
		text := s.Rule + " " + string(s.Action) + " " + s.Fits
		if s.Decides {
			text += " decides"
		}
		got = append(got, text)
	}
	f := deployJob()
	f.Source = Uncertain("x")
	doubt := rules(t, Config{Rules: []Rule{{Name: "web", Action: Shape, Sources: []string{"web"}, Placement: job.Placement{Namespace: "x"}}}})
	if s := doubt.Explain(f); !s[1].Decides || s[1].Rule != "web" || s[2].Decides {
		t.Errorf("steps of a decision by doubt: %+v", s)
	}
	want := []string{"protected_refs_only deny no", "lists of images deny no", "a deny no", "b allow yes decides", "default allow yes"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
