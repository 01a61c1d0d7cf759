package netpolicy_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/runnerd/runnerd/pkg/netpolicy"
)

var update = flag.Bool("update", false, "write the golden files")

func full() netpolicy.Config {
	base := netpolicy.Base{
		GitLab:      []netpolicy.Peer{{CIDR: "10.20.0.5/32", TCP: []int32{443}}},
		ObjectStore: []netpolicy.Peer{{Namespace: "minio", Pods: map[string]string{"app": "minio", "tier": "ci"}, TCP: []int32{9000}}},
		Proxy:       []netpolicy.Peer{{Pods: map[string]string{"app": "squid"}, TCP: []int32{3128}}},
	}
	return netpolicy.Config{Namespaces: []netpolicy.Namespace{
		{Name: "deploy", Base: netpolicy.Base{DNS: []netpolicy.Peer{{CIDR: "169.254.20.10/32", UDP: []int32{53}}}}},
		{Name: "ci", Base: base, Tiers: []netpolicy.Tier{
			{Name: "trusted", Egress: []netpolicy.Peer{{Namespace: "databases"}, {CIDR: "2001:db8::/32", TCP: []int32{443, 8443}, UDP: []int32{443}}}},
			{Name: "default"},
			{Name: "Internet_1.0", Egress: []netpolicy.Peer{{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8", "169.254.0.0/16"}}}},
		}},
	}}
}

// TestNetworkPolicies compares whole policies with testdata/full.yaml; -update writes it.
func TestNetworkPolicies(t *testing.T) {
	var got strings.Builder
	for _, p := range netpolicy.Render(full()) {
		text, err := yaml.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n" + string(text))

		var again networkingv1.NetworkPolicy
		if err := yaml.UnmarshalStrict(text, &again); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("%s changes on its way through YAML (-want +got):\n%s", p.Name, diff)
		}
		checkObject(t, p)
	}
	file := filepath.Join("testdata", "full.yaml")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

// checkObject does what an API server checks of every object and selector.
func checkObject(t *testing.T, p networkingv1.NetworkPolicy) {
	t.Helper()
	for _, problem := range validation.IsDNS1123Subdomain(p.Name) {
		t.Errorf("name %q: %s", p.Name, problem)
	}
	problems := metav1validation.ValidateLabels(p.Labels, field.NewPath("labels"))
	selector := func(s *metav1.LabelSelector) {
		if s != nil {
			problems = append(problems, metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, field.NewPath("selector"))...)
		}
	}
	selector(&p.Spec.PodSelector)
	for _, rule := range p.Spec.Egress {
		for _, to := range rule.To {
			selector(to.PodSelector)
			selector(to.NamespaceSelector)
		}
	}
	for _, problem := range problems {
		t.Errorf("%s: %v", p.Name, problem)
	}
}

// A rule without a peer would allow everything; one must never come of a peer
// that is empty.
func TestNetworkPolicyOfAnEmptyPeer(t *testing.T) {
	nothing := []netpolicy.Peer{{}, {TCP: []int32{443}}}
	for _, p := range netpolicy.Render(netpolicy.Config{Namespaces: []netpolicy.Namespace{{
		Name:  "ci",
		Base:  netpolicy.Base{DNS: nothing, GitLab: nothing, ObjectStore: nothing, Proxy: nothing},
		Tiers: []netpolicy.Tier{{Name: "trusted", Egress: nothing}},
	}}}) {
		if len(p.Spec.Egress) > 0 || len(p.Spec.Ingress) > 0 {
			t.Errorf("%s allows %v, want nothing", p.Name, p.Spec)
		}
	}
}

func TestNetworkPoliciesOfNoNamespace(t *testing.T) {
	if got := netpolicy.Render(netpolicy.Config{}); len(got) > 0 {
		t.Errorf("Render of nothing: %v", got)
	}
}
