package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/netpolicy"
)

func policyNetworkCommand(a *app) *cobra.Command {
	var f networkFlags
	c := &cobra.Command{
		Use:   "network",
		Short: "Print the NetworkPolicies of job pods",
		Long: `Print the NetworkPolicies of the runners that have network_policy = true in
their [runners.policy], for

  runnerd policy network | kubectl apply -f -

Job pods may then reach the DNS, and what [runners.policy.network] names; nothing
may connect to them. A network that enforces NetworkPolicies is needed.

What runners of one cluster say of a namespace that they share is printed
together, also when --runner names only one of them.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.policyNetwork(f) },
	}
	f.add(c)
	return c
}

// networkFlags say which namespaces the command is about.
type networkFlags struct{ runner, namespace string }

func (f *networkFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.runner, "runner", "n", "", "only the namespaces of the runner with this `name`")
	c.Flags().StringVar(&f.namespace, "namespace", "", "only the namespace with this `name`")
}

// String is the command line that brought the flags.
func (f networkFlags) String() string {
	s := "runnerd policy network"
	if f.runner != "" {
		s += " --runner " + strconv.Quote(f.runner)
	}
	if f.namespace != "" {
		s += " --namespace " + strconv.Quote(f.namespace)
	}
	return s
}

func (a *app) policyNetwork(f networkFlags) error {
	c, _, err := a.load()
	if err != nil {
		return err
	}
	chosen, err := networkRunners(c, a.configPath, f.runner)
	if err != nil {
		return err
	}
	wanted, err := networkNamespaces(chosen, f.namespace)
	if err != nil {
		return err
	}
	var neighbours []netpolicy.Runner
	for _, r := range c.Runners {
		if hasNetworkPolicy(r) && clusterOf(r) == clusterOf(chosen[0]) {
			neighbours = append(neighbours, networkRunner(r, wanted))
		}
	}
	merged, err := netpolicy.Merge(neighbours)
	if err != nil {
		return usageError{err}
	}
	return printNetworkPolicies(a.stdout, f, netpolicy.Render(merged))
}

// networkRunners returns the entries of the name, or all, whose pods are
// labelled. There is one at least, and all have their pods in one cluster: the
// policies are applied to one.
func networkRunners(c *config.Config, path, name string) ([]config.Runner, error) {
	selected, err := selection{name: name}.of(c, path)
	if err != nil {
		return nil, usageError{err}
	}
	var chosen []config.Runner
	for _, i := range selected {
		if r := c.Runners[i]; hasNetworkPolicy(r) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, usageError{fmt.Errorf("no entry of %q that was asked for has pods with network policies; write network_policy = true in its [runners.policy] (executor %q)", path, config.ExecutorKubernetes)}
	}
	for _, r := range chosen {
		if clusterOf(r) != clusterOf(chosen[0]) {
			return nil, usageError{fmt.Errorf("runners %q and %q have their pods in different clusters; ask for the policies of one with --runner, and then of the other", chosen[0].Name, r.Name)}
		}
	}
	return chosen, nil
}

// hasNetworkPolicy reports whether the entry's jobs are pods with the label.
func hasNetworkPolicy(r config.Runner) bool {
	return r.Policy.NetworkPolicy && r.Executor == config.ExecutorKubernetes
}

// A cluster is the way to an API server; different ways can lead to one.
type cluster struct{ host, context string }

func clusterOf(r config.Runner) cluster { return cluster{r.Kubernetes.Host, r.Kubernetes.Context} }

// networkNamespaces returns the namespaces of the entries' jobs; with only, that
// one of them.
func networkNamespaces(runners []config.Runner, only string) ([]string, error) {
	var all []string
	for _, r := range runners {
		all = append(all, jobNamespaces(r)...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch {
	case only == "":
		return all, nil
	case !slices.Contains(all, only):
		return nil, usageError{fmt.Errorf("--namespace %q: no job's pod gets there; write one of %q", only, all)}
	default:
		return []string{only}, nil
	}
}

// jobNamespaces returns where the entry's job pods run: in its own namespace,
// in that of a rule, or in one that a job may choose.
func jobNamespaces(r config.Runner) []string {
	return slices.Concat([]string{r.Kubernetes.Namespace}, shapedNamespaces(r.Policy), r.Kubernetes.OverwriteNamespaces)
}

// networkRunner is what the entry says of the wanted namespaces.
func networkRunner(r config.Runner, wanted []string) netpolicy.Runner {
	n := r.Policy.Network
	return netpolicy.Runner{
		Name:       r.Name,
		Namespaces: slices.DeleteFunc(jobNamespaces(r), func(n string) bool { return !slices.Contains(wanted, n) }),
		Base: netpolicy.Base{
			DNS: networkPeers(n.DNS), GitLab: networkPeers(n.GitLab),
			ObjectStore: networkPeers(n.ObjectStore), Proxy: networkPeers(n.Proxy),
		},
		Tiers: networkTiers(r.Policy),
	}
}

// networkTiers returns the tiers that have egress, and those that jobs are in
// without any: the egress that another runner gives them must not become theirs.
func networkTiers(p config.Policy) []netpolicy.Tier {
	var tiers []netpolicy.Tier
	for _, t := range p.Network.Tiers {
		tiers = append(tiers, netpolicy.Tier{Name: t.Name, Egress: networkPeers(t.Egress)})
	}
	used := []string{p.NetworkTier}
	for _, rule := range p.Rules {
		used = append(used, rule.NetworkTier)
	}
	for _, name := range used {
		if name != "" && !slices.ContainsFunc(tiers, func(t netpolicy.Tier) bool { return t.Name == name }) {
			tiers = append(tiers, netpolicy.Tier{Name: name})
		}
	}
	return tiers
}

func networkPeers(list []config.Peer) []netpolicy.Peer {
	var peers []netpolicy.Peer
	for _, p := range list {
		peers = append(peers, netpolicy.Peer{
			CIDR: p.CIDR, Except: p.Except, Namespace: p.Namespace, Pods: p.Pods,
			TCP: networkPorts(p.Ports), UDP: networkPorts(p.UDPPorts),
		})
	}
	return peers
}

func networkPorts(list []int64) []int32 {
	var ports []int32
	for _, p := range list {
		ports = append(ports, int32(p)) // the config is valid: they are from 1 to 65535
	}
	return ports
}

func printNetworkPolicies(w io.Writer, f networkFlags, policies []networkingv1.NetworkPolicy) error {
	var text strings.Builder
	fmt.Fprintf(&text, "# NetworkPolicies of runnerd's job pods, made from config.toml by\n#   %s\n# Change the configuration and print them anew; do not edit them.\n", f)
	for _, p := range policies {
		object, err := yaml.Marshal(p)
		if err != nil {
			return fmt.Errorf("print the NetworkPolicy %q: %w", p.Name, err)
		}
		fmt.Fprintf(&text, "---\n%s", object)
	}
	_, err := io.WriteString(w, text.String())
	return err
}
