package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runnerd/runnerd/pkg/job"
)

// hostAliases makes every service's names resolve to the pod itself, whose
// network the services share. That goes for all containers of the pod.
func (e *Executor) hostAliases(plan *job.Plan) ([]corev1.HostAlias, error) {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, service := range plan.Services {
		if len(service.Ports) > 0 {
			continue // GitLab Runner's rule: it is reached through its ports
		}
		for _, alias := range service.Aliases {
			if err := e.checkAlias(service.Name, alias); err != nil {
				return nil, err
			}
			add(alias)
		}
		for _, alias := range job.DefaultAliases(service.Name) {
			if len(validation.IsDNS1123Subdomain(alias)) == 0 && !e.isReserved(alias) {
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

func (e *Executor) checkAlias(service, alias string) error {
	if e.isReserved(alias) {
		return job.Failf(job.RunnerConfigurationError,
			"alias %q of service %q is the name of a host that the runner itself needs: the job's credentials for it would go to the service; use another alias",
			alias, service)
	}
	if problems := validation.IsDNS1123Subdomain(alias); len(problems) > 0 {
		return job.Failf(job.RunnerConfigurationError,
			"alias %q of service %q is not a host name: %s", alias, service, strings.Join(problems, "; "))
	}
	return nil
}

// aliasNotes say which names services do not have though their images would give
// them. No user has asked for those names, so that they are no reason to fail.
func (e *Executor) aliasNotes(plan *job.Plan) []string {
	var lines []string
	for i, service := range plan.Services {
		if len(service.Ports) > 0 {
			lines = append(lines, fmt.Sprintf("Service %s declares ports and so has no host name; it can be reached at 127.0.0.1", job.ServiceNames(plan.Services)[i]))
			continue
		}
		for _, alias := range job.DefaultAliases(service.Name) {
			if e.isReserved(alias) {
				lines = append(lines, fmt.Sprintf(
					"Service %s cannot be reached as %s, the name of a host that the runner itself needs; give it an alias", service.Name, alias))
			}
		}
	}
	return lines
}

func (e *Executor) isReserved(host string) bool { return e.cfg.reservedHosts[hostKey(host)] }

// hostKey is the same for all ways to write a host's name in full.
func hostKey(host string) string {
	return strings.TrimRight(strings.ToLower(strings.TrimSpace(host)), ".")
}
