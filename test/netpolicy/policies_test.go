package netpolicy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// printed builds runnerd, and returns the policies that it prints for the
// example. Decoding is as strict as kubectl's.
func printed(t *testing.T) []*networkingv1.NetworkPolicy {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "runnerd")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/runnerd")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build runnerd: %v\n%s", err, out)
	}
	command := exec.CommandContext(t.Context(), binary, "policy", "network", "--config", exampleFile)
	command.Env = append(os.Environ(), "RUNNER_TOKEN=glrt-example")
	var stderr strings.Builder
	command.Stderr = &stderr
	text, err := command.Output()
	if err != nil {
		t.Fatalf("runnerd policy network: %v\n%s", err, stderr.String())
	}
	var policies []*networkingv1.NetworkPolicy
	for i, document := range strings.Split(string(text), "---\n") {
		if i == 0 {
			continue // the comment that says where it is from
		}
		p := new(networkingv1.NetworkPolicy)
		if err := yaml.UnmarshalStrict([]byte(document), p); err != nil {
			t.Fatalf("document %d: %v\n%s", i, err, document)
		}
		policies = append(policies, p)
	}
	return policies
}
