package netpolicy

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
)

var update = flag.Bool("update", false, "write the golden file and the table of docs/network.md")

var (
	exampleFile = filepath.Join("testdata", "config.toml")
	goldenFile  = filepath.Join("testdata", "reach.golden")
	docFile     = filepath.Join("..", "..", "docs", "network.md")
)

// TestReach judges who reaches whom. -update writes the table.
func TestReach(t *testing.T) {
	judge := matcher.BuildNetworkPolicies(true, printed(t))
	t.Run("a job's pod reaches what its tier says", func(t *testing.T) { checkEgress(t, judge) })
	t.Run("nothing connects to a job's pod", func(t *testing.T) { checkIngress(t, judge) })
	t.Run("the table", func(t *testing.T) { checkTable(t, table(judge)) })
}

func allowed(judge *matcher.Policy, s source, d destination) bool {
	return judge.IsTrafficAllowed(&matcher.Traffic{Source: s.peer, Destination: d.peer, ResolvedPort: d.port, Protocol: d.protocol}).IsAllowed()
}

func checkEgress(t *testing.T, judge *matcher.Policy) {
	base := []string{"DNS (`kube-dns`), 53/UDP", "DNS (`kube-dns`), 53", "GitLab, 443", "MinIO, 9000", "proxy, 3128"}
	want := map[string][]string{
		"job, `default`":    base,
		"job in `ci-forks`": base,
		"job, `trusted`":    slices.Concat(base, []string{"database, 5432", "partner 198.51.100.7, 443"}),
		"job, `internet`":   slices.Concat(base, []string{"partner 198.51.100.7, 443", "internet 203.0.113.10, 443"}),
	}
	for _, s := range sources() {
		reachable, isJob := want[s.name]
		if !isJob {
			continue
		}
		delete(want, s.name)
		var got []string
		for _, d := range destinations() {
			if allowed(judge, s, d) {
				got = append(got, d.name)
			}
			if d.peer.IP == "169.254.169.254" && allowed(judge, s, d) {
				t.Errorf("%s reaches the cloud's metadata, and with it the node's credentials", s.name)
			}
		}
		if diff := cmp.Diff(reachable, got); diff != "" {
			t.Errorf("%s reaches (-want +got):\n%s", s.name, diff)
		}
	}
	if len(want) > 0 {
		t.Errorf("no such sources: %v", want)
	}
}

// checkIngress tries more ports than the table shows, and every tier. The pods'
// address is one that the tier "internet" may reach: that does not let it in.
func checkIngress(t *testing.T, judge *matcher.Policy) {
	for _, s := range sources() {
		for _, namespace := range []string{"ci", "ci-forks"} {
			for _, tier := range []string{"default", "trusted", "internet", "of-no-policy"} {
				for _, port := range []int{1, 22, 53, 80, 443, 5432, 8080, 9000, 65535} {
					for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
						d := destination{peer: jobPod(namespace, tier, "203.0.113.20"), port: port, protocol: protocol}
						if allowed(judge, s, d) {
							t.Errorf("%s reaches a job's pod of tier %q in %q, %d/%s", s.name, tier, namespace, port, protocol)
						}
					}
				}
			}
		}
	}
}

// table is who reaches whom, in Markdown.
func table(judge *matcher.Policy) string {
	var b strings.Builder
	b.WriteString("| to ↓ from → |")
	for _, s := range sources() {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(sources())) + "\n")
	for _, d := range destinations() {
		b.WriteString("| " + d.name + " |")
		for _, s := range sources() {
			if allowed(judge, s, d) {
				b.WriteString(" yes |")
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// checkTable compares the table with the golden file, and both that and the
// example with what the documentation shows.
func checkTable(t *testing.T, got string) {
	if *update {
		write(t, goldenFile, got)
		write(t, docFile, between(t, read(t, docFile), "table", "\n"+got))
		write(t, docFile, between(t, read(t, docFile), "example", "\n```toml\n"+read(t, exampleFile)+"```\n"))
		return
	}
	if diff := cmp.Diff(read(t, goldenFile), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", goldenFile, diff)
	}
	for name, part := range map[string]string{"table": got, "example": read(t, exampleFile)} {
		if !strings.Contains(read(t, docFile), part) {
			t.Errorf("%s does not show the current %s; -update writes it", docFile, name)
		}
	}
}

// between replaces what stands between two comments of a document: that which
// names the part, and the next one.
func between(t *testing.T, document, part, text string) string {
	t.Helper()
	before, rest, ok := strings.Cut(document, "<!-- "+part+" -->\n")
	_, after, closed := strings.Cut(rest, "<!-- end -->")
	if !ok || !closed {
		t.Fatalf("%s has no part between <!-- %s --> and <!-- end -->", docFile, part)
	}
	return before + "<!-- " + part + " -->\n" + text + "\n<!-- end -->" + after
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
