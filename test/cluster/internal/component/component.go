// Package component links the programs of a Kubernetes node into this one.
//
// Each of them is the upstream command, unchanged: the supervisor starts this
// executable again with the component's name as first argument, and [Run]
// behaves from there on as that component's own binary would.
package component

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Names of the components, as given in the first argument.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"
	Proxy             = "kube-proxy"
	CoreDNS           = "coredns"
	Kubectl           = "kubectl" // not part of a node, but of no use elsewhere either
)

// mains maps a component to its main function, which gets the arguments after
// the component's name and returns the exit code.
var mains = map[string]func(args []string) int{
	Etcd: func(args []string) int {
		etcdmain.Main(append([]string{Etcd}, args...))
		return 0
	},
	APIServer:         func(args []string) int { return runCobra(apiserver.NewAPIServerCommand(), args) },
	ControllerManager: func(args []string) int { return runCobra(controllermanager.NewControllerManagerCommand(), args) },
	Scheduler:         func(args []string) int { return runCobra(scheduler.NewSchedulerCommand(), args) },
	Kubelet:           func(args []string) int { return runCobra(kubelet.NewKubeletCommand(context.Background()), args) },
	Proxy:             func(args []string) int { return runCobra(proxy.NewProxyCommand(), args) },
	CoreDNS:           runCoreDNS,
	Kubectl: func(args []string) int {
		os.Args = append([]string{Kubectl}, args...) // before it looks there for plugins
		return runCobra(kubectl.NewDefaultKubectlCommand(), args)
	},
}

// Run runs the component called name until it ends and returns its exit code.
// ok is false if there is no such component.
func Run(name string, args []string) (code int, ok bool) {
	run, ok := mains[name]
	if !ok {
		return 0, false
	}
	return run(args), true
}

// runCobra runs cmd as its own main would. The kubelet parses os.Args itself.
func runCobra(cmd *cobra.Command, args []string) int {
	os.Args = append([]string{cmd.Name()}, args...)
	return cli.Run(cmd)
}
