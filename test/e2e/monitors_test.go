//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMonitors: the API server takes what is shipped for the Prometheus Operator, by
// that project's own definitions, and leaves no field of it out.
func TestMonitors(t *testing.T) {
	crds := os.Getenv("RUNNERD_MONITORING_CRDS")
	if crds == "" {
		t.Fatal("RUNNERD_MONITORING_CRDS is not set; scripts/monitoring-crds prints the folder")
	}
	try := func(stdin string, args ...string) (string, error) {
		c := exec.Command(ground.cluster, append([]string{"kubectl"}, args...)...)
		c.Stdin = strings.NewReader(stdin)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	kubectl := func(stdin string, args ...string) string {
		t.Helper()
		out, err := try(stdin, args...)
		if err != nil {
			t.Fatalf("kubectl %q: %v\n%s", args, err, out)
		}
		return out
	}
	for _, kind := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		file := filepath.Join(crds, "monitoring.coreos.com_"+kind+".yaml")
		kubectl("", "apply", "--server-side", "-f", file)
		t.Cleanup(func() { kubectl("", "delete", "-f", file) })
		kubectl("", "wait", "--for=condition=Established", "--timeout=60s", "crd/"+kind+".monitoring.coreos.com")
	}
	const namespace = "monitors-dry-run"
	kubectl("", "create", "namespace", namespace)
	t.Cleanup(func() { kubectl("", "delete", "namespace", namespace) })
	text := strings.ReplaceAll(kubectl("", "kustomize", repository("deploy/testdata/everything")), "namespace: runnerd\n", "namespace: "+namespace+"\n")
	var monitors []string
	for object := range strings.SplitSeq(text, "\n---\n") {
		if strings.Contains(object, "apiVersion: monitoring.coreos.com/") {
			monitors = append(monitors, object)
		}
	}
	apply := []string{"apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-"}
	shipped := strings.Join(monitors, "\n---\n")
	out := kubectl(shipped, apply...)
	if got := strings.Count(out, "(server dry run)"); got != 3 || len(monitors) != 3 {
		t.Errorf("%d of %d objects were taken, want 3:\n%s", got, len(monitors), out)
	}
	for _, field := range []string{"podMetricsEndpoints:", "endpoints:", "expr:"} {
		if out, err := try(strings.Replace(shipped, field, "x-"+field, 1), apply...); err == nil {
			t.Errorf("nobody minds that %s is misspelled:\n%s", field, out)
		}
	}
}
