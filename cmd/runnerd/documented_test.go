package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/markdown"
	"github.com/runnerd/runnerd/internal/miniotest"
	"github.com/runnerd/runnerd/internal/standin"
)

// runHere marks commands that this test runs.
const runHere = ""

// Why other commands are not run here.
const (
	byInstall  = "TestInstall of the end-to-end suite runs it"
	byProxy    = "TestProxy of the end-to-end suite runs it"
	byRelease  = "TestInstall uses what it makes; scripts/test runs it"
	byOutput   = "TestMigrate compares its output"
	byE2E      = "the end-to-end suite starts the daemon so, in every test"
	onCluster  = "it acts on a cluster that has runnerd for good"
	needsOther = "it needs a program that is not part of the project"
	byCI       = "CI runs it, and with it this test"
)

// documented are all commands of the documents, without what is behind a #: each is
// run here, or has a reason why not.
var documented = map[string]string{
	"git clone <this repository> && cd runnerd": "this is such a clone",
	"make demo":         runHere,
	"make demo-cluster": "it boots a cluster of its own; TestDemo runs its pipeline, the end-to-end suite runs jobs as pods of it",

	"runnerd register --config /etc/runnerd/config.toml --url https://gitlab.example.com --token glrt-… --executor kubernetes --kubernetes-namespace ci --kubernetes-image debian:12": runHere,
	"runnerd config lint --config /etc/runnerd/config.toml":            runHere,
	"runnerd run --config /etc/runnerd/config.toml":                    byE2E,
	"runnerd config lint config.toml":                                  byOutput,
	"echo $?":                                                          byOutput,
	"runnerd cache check":                                              runHere,
	"runnerd cache stat":                                               runHere,
	"runnerd cache ls --project 42":                                    runHere,
	"runnerd cache ls --older-than 14d":                                runHere,
	"runnerd cache prune --older-than 14d --dry-run":                   runHere,
	"runnerd cache prune --max-size 100GiB --dry-run":                  runHere,
	"runnerd cache prune --project 42 --key node_modules --dry-run":    runHere,
	"runnerd cache prune --older-than 14d --max-size 200GiB --dry-run": runHere,
	"runnerd policy check --job payload.json --explain":                runHere,
	"runnerd policy test policy/":                                      runHere,
	"runnerd policy network":                                           runHere,
	"runnerd policy network | kubectl apply -f -":                      onCluster + "; TestPolicyNetwork looks at what it prints",
	"runnerd policy network | kubectl apply -f - --prune -l app.kubernetes.io/managed-by=runnerd --prune-allowlist networking.k8s.io/v1/NetworkPolicy": onCluster,

	"kubectl create namespace runnerd": byInstall,

	`kubectl --namespace runnerd create secret generic runnerd --from-literal=url=https://gitlab.example.com --from-literal=runner-token=glrt-… --from-literal=s3-access-key=runnerd --from-literal=s3-secret-key="$(head -c 24 /dev/urandom | base64)"`: byInstall,

	"kubectl apply -f deploy/stack.yaml":                                                       byInstall,
	"kubectl --namespace runnerd rollout status deployment/runnerd":                            byInstall,
	"kubectl --namespace runnerd exec deployment/runnerd -- runnerd cache check":               byInstall,
	"kubectl --namespace runnerd exec deployment/runnerd -- runnerd cache stat":                byInstall,
	"kubectl --namespace runnerd exec deployment/runnerd -- runnerd cache ls":                  byInstall,
	"kubectl auth can-i --list --namespace runnerd --as system:serviceaccount:runnerd:runnerd": byInstall,

	`openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=CI proxy" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout squid-ca.key -out squid-ca.crt`: byProxy,

	"kubectl --namespace runnerd create secret tls squid-ca --cert squid-ca.crt --key squid-ca.key":                          byProxy,
	"kubectl --namespace runnerd create configmap squid-ca --from-file=ca.crt=squid-ca.crt":                                  byProxy,
	"kubectl delete -f deploy/stack.yaml":                                                                                    onCluster,
	"make images VERSION=1.0.0":                                                                                              byRelease,
	"make push REGISTRY=registry.example.com/ci":                                                                             byRelease,
	"kubectl -n runnerd patch secret runnerd -p '{\"stringData\":{\"runner-token\":\"glrt-…\"}}'":                            onCluster,
	"kubectl --namespace runnerd get pods -l runnerd.io/job":                                                                 onCluster,
	"kubectl --namespace runnerd logs deployment/runnerd | grep '\"job\":4711'":                                              onCluster,
	"kubectl --namespace runnerd port-forward deployment/runnerd 9252 &":                                                     onCluster,
	"curl -s localhost:9252/readyz; curl -s localhost:9252/debug/jobs/list":                                                  onCluster,
	"kubectl --namespace runnerd port-forward service/minio 9000 &":                                                          needsOther,
	"key() { kubectl --namespace runnerd get secret runnerd -o \"go-template={{index .data \\\"$1\\\" | base64decode}}\"; }": needsOther,
	"mc alias set ci http://127.0.0.1:9000 \"$(key s3-access-key)\" \"$(key s3-secret-key)\"":                                needsOther,
	"mc du ci/runnerd-cache":                    needsOther,
	"mc ls --recursive ci/runnerd-cache/v1/42/": needsOther,
	"mc ilm rule ls ci/runnerd-cache":           needsOther,
	"helm install runnerd deploy/chart --namespace runnerd --create-namespace --set gitlabUrl=https://gitlab.example.com --set runnerToken=glrt-…": needsOther + "; deploy's tests render the chart by Helm's library",

	"make build": byCI, "make test-unit": byCI, "make test": byCI, "make chaos": byCI, "make soak": byCI, "make bench-cache": byCI, "make lint fmt": byCI, "make docs": "its tests are this package's",
}

// TestDocumentedCommands: every command of README.md, CONTRIBUTING.md and docs/ works,
// or says in the table above why it is not run here.
func TestDocumentedCommands(t *testing.T) {
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	w := newDocumented(t)
	seen := map[string]bool{}
	for _, name := range append(names, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range markdown.Blocks(string(text)) {
			for _, command := range commands(b) {
				why, known := documented[command]
				if !known {
					t.Errorf("%s:%d: the table of this test does not have %q", name, b.Line, command)
				}
				if known && why == runHere && !seen[command] {
					t.Run(command, func(t *testing.T) { w.run(t, command) })
				}
				seen[command] = true
			}
		}
	}
	for command := range documented {
		if !seen[command] {
			t.Errorf("no document has the command %q any more", command)
		}
	}
}

var remark = regexp.MustCompile(`\s+# .*$`)

// commands returns the commands of a block, each on one line.
func commands(b markdown.Block) []string {
	if b.Language != "console" && b.Language != "sh" && b.Language != "bash" {
		return nil
	}
	var list []string
	more := false
	for line := range strings.Lines(b.Text) {
		line = strings.TrimSpace(line)
		rest, begins := strings.CutPrefix(line, "$ ")
		if begins || more {
			text, continued := strings.CutSuffix(remark.ReplaceAllString(rest, ""), `\`)
			if more {
				list[len(list)-1] += " " + strings.TrimSpace(text)
			} else {
				list = append(list, strings.TrimSpace(text))
			}
			more = continued
		}
	}
	return list
}

// A documentedWorld is where the commands find what they are about.
type documentedWorld struct {
	dir   string
	words *strings.Replacer // of the documents → here
}

func newDocumented(t *testing.T) *documentedWorld {
	server := miniotest.Start(t, miniotest.Options{})
	gitlab := startedStandin(t)
	dir := t.TempDir()
	registered := filepath.Join(dir, "registered.toml")
	w := &documentedWorld{dir: dir, words: strings.NewReplacer(
		"/etc/runnerd/config.toml", registered, "https://gitlab.example.com", gitlab.URL(), "glrt-…", gitlab.AddRunner(standin.RunnerSpec{}).Token(),
	)}
	policy := blocks(t, "policy.md")
	config := runnerEntry + fmt.Sprintf(`[runners.kubernetes]
namespace = "ci"
[runners.kubernetes.resource_classes.small]
cpu_limit = "1"
[runners.cache]
Type = "s3"
[runners.cache.s3]
ServerAddress = %q
AccessKey = %q
SecretKey = %q
BucketName = %q
Insecure = true
`, server.Endpoint, server.AccessKey, server.SecretKey, server.Bucket) + policy[0].Text +
		"[runners.policy.network]\ngitlab = [{ cidr = \"192.0.2.1/32\" }]\ntiers = [{ name = \"trusted\" }]\n"
	config = strings.Replace(config, "[runners.policy]\n", "[runners.policy]\nnetwork_policy = true\n", 1)
	w.write(t, "config.toml", config)
	w.write(t, "policy/deploys.toml", policy[len(policy)-1].Text)
	for _, b := range blocks(t, "policy-cookbook.md") {
		if b.Label == "payload: audit" {
			w.write(t, "payload.json", strings.ReplaceAll(b.Text, "elsewhere/shop", "retail/shop"))
		}
	}
	return w
}

func startedStandin(t *testing.T) *standin.Server {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gitlab := standin.New(standin.Options{})
	if err := gitlab.Start(listener); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gitlab.Close(); err != nil {
			t.Error(err)
		}
	})
	return gitlab
}

func (w *documentedWorld) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command as the document has it: make in a copy of the project.
func (w *documentedWorld) run(t *testing.T, command string) {
	dir := w.dir
	if strings.HasPrefix(command, "make ") {
		dir = copyOfProject(t)
	}
	c := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", w.words.Replace(command))
	c.Dir, c.Env = dir, append(os.Environ(), "CONFIG_FILE=config.toml")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// copyOfProject returns a folder with the project's files, as they are now.
func copyOfProject(t *testing.T) string {
	if testing.Short() {
		t.Skip("it builds the project in a copy")
	}
	dir := t.TempDir()
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", `
		git -C ../.. rev-parse --git-dir >/dev/null || exit 77
		git -C ../.. ls-files -z --cached --others --exclude-standard --deduplicate |
			tar -C ../.. --null --ignore-failed-read --warning=no-failed-read -T - -cf - | tar -C "$0" -xf -`, dir)
	c.Stderr = &said
	if err := c.Run(); err != nil {
		if c.ProcessState.ExitCode() == 77 {
			t.Skip("no git clone: which files are the project's is not known")
		}
		t.Fatalf("%v: %s", err, &said)
	}
	return dir
}
