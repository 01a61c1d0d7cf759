package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runnerd/runnerd/pkg/job"
)

func dnsPolicy(word string) (corev1.DNSPolicy, error) {
	switch word {
	case "":
		return "", nil
	case "none":
		return corev1.DNSNone, nil
	case "default":
		return corev1.DNSDefault, nil
	case "cluster-first":
		return corev1.DNSClusterFirst, nil
	case "cluster-first-with-host-net":
		return corev1.DNSClusterFirstWithHostNet, nil
	}
	return "", fmt.Errorf("dns_policy: unknown policy %q; use none, default, cluster-first or cluster-first-with-host-net", word)
}

// hostAliases makes every service's names resolve to the pod itself, whose
// network the services share.
func (e *Executor) hostAliases(plan *job.Plan) ([]corev1.HostAlias, error) {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, service := range plan.Services {
		for _, alias := range service.Aliases {
			if problems := validation.IsDNS1123Subdomain(alias); len(problems) > 0 {
				return nil, job.Failf(job.RunnerConfigurationError,
					"alias %q of service %q is not a host name: %s", alias, service.Name, strings.Join(problems, "; "))
			}
			add(alias)
		}
		for _, alias := range defaultAliases(service.Name) {
			if len(validation.IsDNS1123Subdomain(alias)) == 0 {
				add(alias)
			}
		}
	}
	aliases := slices.Clone(e.cfg.HostAliases)
	if len(names) > 0 {
		aliases = append(aliases, corev1.HostAlias{IP: "127.0.0.1", Hostnames: names})
	}
	return aliases, nil
}

// defaultAliases are the host names that a service has by its image: the image
// without port, tag and digest, with its slashes replaced.
func defaultAliases(image string) []string {
	image, _, _ = strings.Cut(image, "@")
	host, rest, hasHost := strings.Cut(image, "/")
	if !hasHost {
		host, rest = "", image
	} else if name, _, hasPort := strings.Cut(host, ":"); hasPort {
		host = name
	}
	rest, _, _ = strings.Cut(rest, ":")
	if hasHost {
		rest = host + "/" + rest
	}
	names := []string{strings.ReplaceAll(rest, "/", "__")}
	if dashed := strings.ReplaceAll(rest, "/", "-"); dashed != names[0] {
		names = append(names, dashed)
	}
	return names
}
