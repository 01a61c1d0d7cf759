package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/runnerd/runnerd/pkg/job"
)

// Permissions say which settings a job's variables may replace or add to, by the
// settings' keys in [runners.kubernetes]. What has no entry cannot be changed.
type Permissions struct {
	Patterns map[string]string // of values; a match anywhere in a value is enough
	Most     map[string]string // quantities that a value may come to

	// Namespaces are those that a job may choose beside Config.Namespace. Those
	// of policy's rules are not among them: a job must not get by a variable
	// where only a rule would let it.
	Namespaces []string
}

// permissions are checked Permissions.
type permissions struct {
	patterns   map[string]*regexp.Regexp
	most       map[string]resource.Quantity
	namespaces []string
}

func checkPermissions(p Permissions, namespace string) (permissions, error) {
	out := permissions{
		patterns: map[string]*regexp.Regexp{}, most: map[string]resource.Quantity{},
		namespaces: append([]string{namespace}, p.Namespaces...),
	}
	var problems []error
	for _, setting := range slices.Sorted(maps.Keys(p.Patterns)) {
		pattern, err := regexp.Compile(p.Patterns[setting])
		if err != nil {
			problems = append(problems, fmt.Errorf("%s_overwrite_allowed: %w", setting, err))
		}
		out.patterns[setting] = pattern
	}
	for _, setting := range slices.Sorted(maps.Keys(p.Most)) {
		quantity, err := resource.ParseQuantity(p.Most[setting])
		if err != nil {
			problems = append(problems, fmt.Errorf("%s_overwrite_max_allowed: %q: not a quantity such as 500m or 1Gi", setting, p.Most[setting]))
		}
		out.most[setting] = quantity
	}
	for _, name := range p.Namespaces {
		problems = append(problems, checkNamespaceName("overwrite_namespaces", name))
	}
	return out, errors.Join(problems...)
}

// permit reports whether the operator lets jobs overwrite that setting at all.
// The error says that the setting may be overwritten, but not with that value;
// it is a *job.Failure.
func (p *permissions) permit(o job.Overwrite) (bool, error) {
	if most, ok := p.most[o.Setting]; ok {
		return true, withinMost(o, most)
	}
	pattern := p.patterns[o.Setting]
	if pattern == nil {
		return false, nil
	}
	if !pattern.MatchString(o.Value) {
		return true, job.Failf(job.RunnerConfigurationError, "%s=%q is not allowed here: it does not match %q (%s_overwrite_allowed)",
			o.Key, o.Value, pattern, o.Setting)
	}
	if o.Setting == settingNamespace && !slices.Contains(p.namespaces, o.Value) {
		return true, job.Failf(job.RunnerConfigurationError,
			"%s=%q matches namespace_overwrite_allowed, but is none of the namespaces that this runner has for jobs to choose (%s); the runner's operator can add it to overwrite_namespaces",
			o.Key, o.Value, quoted(p.namespaces))
	}
	return true, nil
}

func withinMost(o job.Overwrite, most resource.Quantity) error {
	quantity, err := resource.ParseQuantity(o.Value)
	switch {
	case err != nil || quantity.Sign() < 0:
		return job.Failf(job.RunnerConfigurationError, "%s=%q is no quantity; write one such as 500m (CPU) or 2Gi (memory)", o.Key, o.Value)
	case quantity.Cmp(most) > 0:
		return job.Failf(job.RunnerConfigurationError, "%s=%q is not allowed here: the most is %s (%s_overwrite_max_allowed)",
			o.Key, o.Value, most.String(), o.Setting)
	}
	return nil
}
