package kubernetes

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// policyList are the pull policies of one job's containers: for each the list
// to try, and where in it the job is.
type policyList struct {
	lists map[string][]string // by container
	at    map[string]int
}

// policies chooses the lists: the job's where the operator allows it, else the
// operator's.
func (e *Executor) policies(plan *job.Plan) (*policyList, error) {
	p := &policyList{lists: map[string][]string{containerHelper: e.cfg.PullPolicies}, at: map[string]int{}}
	add := func(container string, image job.Image) error {
		if len(image.PullPolicies) == 0 {
			p.lists[container] = e.cfg.PullPolicies
			return nil
		}
		list := slices.Clone(image.PullPolicies)
		if len(e.cfg.AllowedPullPolicies) > 0 {
			list = slices.DeleteFunc(list, func(name string) bool { return !slices.Contains(e.cfg.AllowedPullPolicies, name) })
		}
		if len(list) == 0 {
			return job.Failf(job.RunnerConfigurationError,
				"pull policy %s of image %q is not allowed here; use one of %s",
				quoted(image.PullPolicies), image.Name, quoted(e.cfg.AllowedPullPolicies))
		}
		if err := checkPolicies("pull_policy of image "+image.Name, list); err != nil {
			return &job.Failure{Reason: job.RunnerConfigurationError, Message: err.Error()}
		}
		p.lists[container] = list
		return nil
	}
	if err := add(containerBuild, plan.Image); err != nil {
		return nil, err
	}
	for i, name := range serviceNames(plan) {
		if err := add(name, plan.Services[i].Image); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// policy is the container's policy now; "" leaves it to the cluster.
func (p *policyList) policy(container string) corev1.PullPolicy {
	list := p.lists[container]
	if len(list) == 0 {
		return ""
	}
	return pullPolicies[list[p.at[container]]]
}

// advance goes to the container's next policy; false when there is none.
func (p *policyList) advance(container string) bool {
	if p.at[container]+1 >= len(p.lists[container]) {
		return false
	}
	p.at[container]++
	return true
}

// attempts is the most pods that the job can come to.
func (p *policyList) attempts() int {
	n := 1
	for _, list := range p.lists {
		n += max(0, len(list)-1)
	}
	return n
}

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }
