package kubernetes

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runnerd/runnerd/pkg/job"
)

// A spot is what a job's Placement comes to with this Config.
type spot struct {
	serviceAccount string
	nodeSelector   map[string]string
	tolerations    []corev1.Toleration
	build          corev1.ResourceRequirements // of the build container
}

// namespace is where all objects of a job are.
func (e *Executor) namespace(plan *job.Plan) string {
	return cmp.Or(plan.Placement.Namespace, e.wishedNamespace(plan), e.cfg.Namespace)
}

// checkNamespace fails the job when nobody watches its namespace.
func (e *Executor) checkNamespace(plan *job.Plan) error {
	namespace := e.namespace(plan)
	if slices.Contains(e.cfg.namespaces, namespace) {
		return nil
	}
	return job.Failf(job.RunnerConfigurationError,
		"policy wants the job in namespace %q, which is none of this runner's (%s); have the rule name one of them", namespace, quoted(e.cfg.namespaces))
}

// spot combines the job's Placement with its wishes and the runner's own settings,
// the strongest first. An error is a *job.Failure.
func (e *Executor) spot(plan *job.Plan, w *wishes) (spot, error) {
	p := plan.Placement
	if err := e.checkNamespace(plan); err != nil {
		return spot{}, err
	}
	if problems := validation.IsValidLabelValue(p.NetworkTier); len(problems) > 0 {
		return spot{}, job.Failf(job.RunnerConfigurationError,
			"policy wants network tier %q, which cannot be a label: %s", p.NetworkTier, strings.Join(problems, "; "))
	}
	more, err := tolerations(p.NodeTolerations)
	if err != nil {
		return spot{}, job.Failf(job.RunnerConfigurationError, "policy's %v", err)
	}
	wished, err := tolerations(w.tolerations)
	if err != nil {
		return spot{}, job.Failf(job.RunnerConfigurationError, "the job's %v", err)
	}
	build, err := e.cfg.class(p.ResourceClass)
	if err != nil {
		return spot{}, err
	}
	build, err = over(build, "", w.amounts)
	if err != nil {
		return spot{}, err
	}
	return spot{
		serviceAccount: cmp.Or(p.ServiceAccount, w.serviceAccount, e.cfg.ServiceAccount),
		nodeSelector:   overlaid(overlaid(e.cfg.NodeSelector, w.nodeSelector), p.NodeSelector),
		tolerations:    slices.Concat(e.cfg.tolerations, more, wished),
		build:          build,
	}, nil
}

// class is what the build container of a job of that class gets.
func (s *settings) class(name string) (corev1.ResourceRequirements, error) {
	if name == "" {
		return s.build, nil
	}
	class, ok := s.classes[name]
	if !ok {
		return class, job.Failf(job.RunnerConfigurationError,
			"policy wants resource class %q, which this runner does not have; it has %s", name, quoted(slices.Sorted(maps.Keys(s.classes))))
	}
	return class, nil
}

// overlaid returns base with what over has in its place; neither changes.
func overlaid[M ~map[K]V, K comparable, V any](base, over M) M {
	out := maps.Clone(base)
	if out == nil && len(over) > 0 {
		out = M{}
	}
	maps.Copy(out, over)
	return out
}
