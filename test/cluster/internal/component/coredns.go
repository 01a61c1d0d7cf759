package component

import (
	"os"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	// The plugins a Corefile of this cluster may name.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// runCoreDNS sets the order in which the linked plugins see a query, which
// upstream generates for its full set: the template plugin comes last, as it
// answers whatever no other plugin knew.
func runCoreDNS(args []string) int {
	dnsserver.Directives = []string{"bind", "ready", "errors", "cache", "hosts", "kubernetes", "template"}
	os.Args = append([]string{CoreDNS}, args...)
	coremain.Run()
	return 0
}
