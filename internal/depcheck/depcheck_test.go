package depcheck

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/runnerd/runnerd/"

// mayImport is the package map: which packages of this module each one may
// import. "*" means any, but for what forbidden says.
var mayImport = map[string][]string{
	"cmd/runnerd":       {"*"}, // introduces the packages to one another
	"cmd/runnerd-agent": {"pkg/agent"},

	"pkg/job":    {}, // the vocabulary: everybody may speak it, so it drags nothing along
	"pkg/frame":  {}, // shared by daemon and agent, as are mask and joblog
	"pkg/mask":   {},
	"pkg/joblog": {"pkg/job", "pkg/mask"},

	"pkg/agent": {
		"pkg/artifact", "pkg/cacert", "pkg/cache/archive", "pkg/cache/archive/pack", "pkg/cache/archive/transfer", "pkg/cache/archive/tree", "pkg/cache/archive/unpack",
		"pkg/confine", "pkg/frame", "pkg/job", "pkg/joblog", "pkg/mask",
	},

	"pkg/artifact": {"pkg/cacert", "pkg/cache/archive/tree", "pkg/confine", "pkg/httpwait"},
	"pkg/cacert":   {}, // which authorities a connection trusts, for daemon and agent alike
	"pkg/httpwait": {}, // when an HTTP call is repeated, for daemon and agent alike

	// The agent's side of a cache: files and bytes. It knows no bucket.
	"pkg/confine":                {},
	"pkg/cache/archive":          {},
	"pkg/cache/archive/tree":     {"pkg/cache/archive", "pkg/confine"},
	"pkg/cache/archive/pack":     {"pkg/cache/archive", "pkg/cache/archive/tree", "pkg/confine"},
	"pkg/cache/archive/unpack":   {"pkg/cache/archive", "pkg/cache/archive/tree", "pkg/confine"},
	"pkg/cache/archive/transfer": {"pkg/cacert", "pkg/cache/archive"},

	// The daemon's side: names, heads and URLs. It touches no file of a job.
	"pkg/cache":       {"pkg/cache/store", "pkg/job"},
	"pkg/cache/store": {"pkg/cacert"},

	"pkg/config":    {"pkg/job"},
	"pkg/gitlab":    {"pkg/cacert", "pkg/httpwait", "pkg/job"},
	"pkg/judge":     {"pkg/executor", "pkg/job", "pkg/policy"},
	"pkg/lifecycle": {"pkg/cache", "pkg/executor", "pkg/job", "pkg/joblog", "pkg/judge", "pkg/secret", "pkg/trace"},
	"pkg/lease":     {}, // who lives
	"pkg/metrics":   {},
	"pkg/netpolicy": {}, // what NetworkPolicies there are; it talks to no cluster
	"pkg/policy":    {"pkg/job"},
	"pkg/poller":    {"pkg/job"},
	"pkg/registry":  {"pkg/job"}, // what registries say of images
	"pkg/secret":    {"pkg/job"}, // what Vaults hold of a job's secrets
	"pkg/status":    {},
	"pkg/trace":     {"pkg/job"},
	"pkg/tracing":   {"pkg/cacert"}, // OpenTelemetry, and nobody else has to do with it

	"pkg/executor":            {"pkg/job"},
	"pkg/executor/relay":      {"pkg/frame", "pkg/job"},
	"pkg/executor/kubernetes": {"pkg/executor", "pkg/executor/relay", "pkg/job", "pkg/lease"},
	"pkg/executor/local":      {"pkg/executor", "pkg/executor/relay", "pkg/job"},

	"internal/configdoc":  {"internal/markdown", "pkg/config", "pkg/job"}, // what there is to set, for docs/configure.md
	"internal/demo":       {"internal/standin"},
	"internal/markdown":   {}, // the documents, for tests of them
	"internal/policycase": {}, // jobs as payloads, and what a policy should say of them
	"internal/miniotest":  {}, // a real MinIO server, for tests
	"internal/otlptest":   {}, // a collector of traces, for tests
	"internal/treegen":    {},
	"internal/vaulttest":  {}, // a strict Vault, for tests
	"test/cachebench":     {"*"},
	"test/chaos":          {"internal/standin"},                       // what is to go wrong, and when, as data
	"test/conformance":    {"internal/standin", "internal/vaulttest"}, // what a job may ask of its runner, as data
	"internal/depcheck":   {},
	"internal/standin":    {"pkg/gitlab"}, // a GitLab that is written from the specification, not from our client
}

// A ban keeps a package, and all below it, out of what another is built from,
// however many imports lie between the two.
type ban struct{ from, what, why string }

// sharedWhy is why some packages stay with the standard library.
const sharedWhy = "daemon and agent share it; what it imports is in every pod"

var forbidden = []ban{
	{"cmd/runnerd", module + "pkg/agent", "daemon and agent only know each other by the plan and the frames; a pod may run another version"},
	{"cmd/runnerd-agent", "k8s.io", "the agent is copied into every pod: it stays small, and talks to no API server"},
	{"cmd/runnerd-agent", "gitlab.com/gitlab-org/api", "the pod talks to GitLab by git and plain HTTP only; the runner API is the daemon's"},
	{"cmd/runnerd-agent", module + "pkg/gitlab", "only the daemon knows GitLab's JSON; the pod gets a plan"},
	{"cmd/runnerd-agent", "github.com/minio", "a pod holds URLs, never a credential of the store"},
	{"cmd/runnerd-agent", "go.uber.org/zap", "whatever the agent says is a job's log, in frames; it has no log of its own"},
	{"cmd/runnerd-agent", "github.com/prometheus", "nobody can scrape a job's pod; the daemon counts"},
	{"pkg/config", "k8s.io/client-go", "reading a file needs no cluster; quantities are all it knows of Kubernetes"},
	{"pkg/policy", "net/http", "a verdict must not depend on the network; the caller looks up what it needs"},
	{"pkg/policy", "os/exec", "a decision is a pure function of facts"},
	{"pkg/netpolicy", "k8s.io/client-go", "rendering is a pure function; kubectl talks to the cluster"},
	{"pkg/job", "net/http", "compiling a plan is a pure function; it asks nobody"},
}

// standardOnly are the packages that import nothing else, not even indirectly.
var standardOnly = map[string]string{
	"pkg/job": sharedWhy, "pkg/frame": sharedWhy, "pkg/mask": sharedWhy, "pkg/joblog": sharedWhy,
}

// A pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string // all of them, indirect ones too
}

func TestImports(t *testing.T) {
	packages := list(t)
	t.Run("map", func(t *testing.T) { checkMap(t, packages) })
	t.Run("forbidden", func(t *testing.T) { checkForbidden(t, packages) })
	t.Run("standard library only", func(t *testing.T) { checkStandardOnly(t, packages) })
}

func checkMap(t *testing.T, packages map[string]pkg) {
	for name, p := range packages {
		allowed, known := mayImport[name]
		if !known && !belowInternal(name) {
			t.Errorf("%s is not in the package map; add it here and in docs/architecture.md", name)
			continue
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module)
			if !ours || slices.Contains(allowed, "*") || slices.Contains(allowed, other) || sameFamily(name, other) {
				continue
			}
			t.Errorf("%s imports %s; the package map allows it %q", name, other, allowed)
		}
	}
}

func checkForbidden(t *testing.T, packages map[string]pkg) {
	for _, b := range forbidden {
		for _, dep := range packages[b.from].Deps {
			if dep == b.what || strings.HasPrefix(dep, b.what+"/") {
				t.Errorf("%s depends on %s: %s", b.from, dep, b.why)
			}
		}
	}
}

func checkStandardOnly(t *testing.T, packages map[string]pkg) {
	for name, why := range standardOnly {
		for _, dep := range packages[name].Deps {
			first, _, _ := strings.Cut(dep, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(dep, module) {
				t.Errorf("%s depends on %s: %s", name, dep, why)
			}
		}
	}
}

// belowInternal reports whether a package is private to one other, which may
// cut itself up as it likes: pkg/x/internal/y belongs to pkg/x.
func belowInternal(name string) bool { return strings.Contains(name, "/internal/") }

func sameFamily(name, other string) bool {
	owner, _, private := strings.Cut(other, "/internal/")
	return private && (name == owner || strings.HasPrefix(name, owner+"/"))
}

// list returns the packages of this module by their path in it.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]pkg{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages[strings.TrimPrefix(p.ImportPath, module)] = p
	}
}
