package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// settings are a checked Config, as Kubernetes writes it.
type settings struct {
	Config
	namespaces                  []string // all of them, each once
	build, helper, service, pod corev1.ResourceRequirements
	classes                     map[string]corev1.ResourceRequirements // of the build container
	tolerations                 []corev1.Toleration
	permissions                 permissions
	dnsPolicy                   corev1.DNSPolicy
	reservedHosts               map[string]bool // as hostKey has them
}

// check fills in defaults and translates; the error joins all that is wrong.
func check(cfg Config) (*settings, error) {
	s := &settings{Config: cfg}
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("kubernetes: %w", err))
		}
	}
	if s.HelperImage == "" {
		note(errors.New("helper_image: empty; name the image with git and runnerd-agent"))
	}
	if s.Namespace == "" {
		s.Namespace = "default"
	}
	note(checkNamespaceName("namespace", s.Namespace))
	s.namespaces = []string{s.Namespace}
	for _, namespace := range s.Namespaces {
		note(checkNamespaceName("namespaces", namespace))
	}
	for _, namespace := range slices.Concat(s.Namespaces, s.Permissions.Namespaces) {
		if !slices.Contains(s.namespaces, namespace) {
			s.namespaces = append(s.namespaces, namespace)
		}
	}
	if s.PollTimeout <= 0 {
		s.PollTimeout = defaultPollTimeout
	}
	if s.CleanupGracePeriod <= 0 {
		s.CleanupGracePeriod = defaultCleanupGracePeriod
	}
	if s.KeepFailedPodsMax <= 0 {
		s.KeepFailedPodsMax = defaultKeepFailedPodsMax
	}
	if s.AllowedPullPolicies == nil {
		s.AllowedPullPolicies = s.PullPolicies
	}
	note(checkPolicies("pull_policy", s.PullPolicies))
	note(checkPolicies("allowed_pull_policies", s.AllowedPullPolicies))

	var err error
	s.build, err = requirements("", s.Build)
	note(err)
	s.classes, err = classes(s.build, s.Classes)
	note(err)
	s.helper, err = requirements(helperPrefix, s.Helper)
	note(err)
	s.service, err = requirements(servicePrefix, s.Service)
	note(err)
	s.pod, err = requirements(podPrefix, s.Pod)
	note(err)
	s.tolerations, err = tolerations(s.NodeTolerations)
	note(err)
	s.permissions, err = checkPermissions(s.Permissions, s.Namespace)
	note(err)
	s.dnsPolicy, err = dnsPolicy(s.DNSPolicy)
	note(err)
	s.reservedHosts = map[string]bool{}
	for _, host := range s.ReservedHosts {
		if key := hostKey(host); key != "" {
			s.reservedHosts[key] = true
		}
	}
	return s, errors.Join(problems...)
}

func checkNamespaceName(key, name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("%s: %q: not the name of a namespace, and variables in it are not supported: %s", key, name, strings.Join(problems, "; "))
	}
	return nil
}

// tolerations translates "key=value" → effect, in the order of the keys.
func tolerations(entries map[string]string) ([]corev1.Toleration, error) {
	var list []corev1.Toleration
	for _, entry := range slices.Sorted(maps.Keys(entries)) {
		t := corev1.Toleration{Effect: corev1.TaintEffect(entries[entry])}
		switch t.Effect {
		case "", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute:
		default:
			return nil, fmt.Errorf("node_tolerations: %q: unknown effect %q; use NoSchedule, PreferNoSchedule, NoExecute or \"\"", entry, t.Effect)
		}
		key, value, hasValue := strings.Cut(entry, "=")
		t.Key, t.Value, t.Operator = key, value, corev1.TolerationOpEqual
		if !hasValue {
			t.Operator = corev1.TolerationOpExists
		}
		list = append(list, t)
	}
	return list, nil
}
