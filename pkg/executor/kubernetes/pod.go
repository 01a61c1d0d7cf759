package kubernetes

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// pod builds the pod of a job's n-th attempt. Errors are failures of the job's
// own settings, or of the place that policy chose for it.
//
// The containers' order is the order in which the kubelet starts them, each
// after its image is there: the helper first, so that sources come while the
// other images are pulled; the build last, so that no script runs before the
// services were started. There is no init container: each costs about a second.
func (e *Executor) pod(plan *job.Plan, wished *wishes, policies *policyList, attempt int) (*corev1.Pod, error) {
	where, err := e.spot(plan, wished)
	if err != nil {
		return nil, err
	}
	build, err := e.buildContainer(plan, policies.policy(containerBuild), where.build)
	if err != nil {
		return nil, err
	}
	helper, err := over(e.cfg.helper, helperPrefix, wished.amounts)
	if err != nil {
		return nil, err
	}
	containers := []corev1.Container{e.helperContainer(policies.policy(containerHelper), helper)}
	for i, name := range serviceNames(plan) {
		resources, err := over(e.cfg.service, servicePrefix, wished.amounts, wished.services[i])
		if err != nil {
			return nil, err
		}
		service, err := e.serviceContainer(plan, i, policies.policy(name), resources)
		if err != nil {
			return nil, err
		}
		containers = append(containers, service)
	}
	containers = append(containers, build)
	aliases, err := e.hostAliases(plan)
	if err != nil {
		return nil, err
	}

	own, err := e.mounts(plan)
	if err != nil {
		return nil, err
	}
	for i := range containers {
		containers[i].VolumeMounts = append(containers[i].VolumeMounts, own.at...)
	}

	noLinks := false
	pod := &corev1.Pod{
		ObjectMeta: e.metadata(plan, wished, podName(e.id, plan, attempt)),
		Spec: corev1.PodSpec{
			Containers:                    containers,
			Volumes:                       append(volumes(secretName(e.id, plan), plan), own.volumes...),
			RestartPolicy:                 corev1.RestartPolicyNever,
			ActiveDeadlineSeconds:         seconds(plan.Timeout + e.cfg.PollTimeout + deadlineSlack + e.cfg.KeepFailedPods),
			TerminationGracePeriodSeconds: seconds(e.cfg.TerminationGracePeriod),
			EnableServiceLinks:            &noLinks,
			ServiceAccountName:            where.serviceAccount,
			AutomountServiceAccountToken:  e.cfg.automount(where.serviceAccount),
			ImagePullSecrets:              e.imagePullSecrets(plan),
			SecurityContext:               podSecurity(e.cfg.PodSecurityContext),
			NodeSelector:                  where.nodeSelector,
			Tolerations:                   where.tolerations,
			Affinity:                      e.cfg.Affinity,
			PriorityClassName:             e.cfg.PriorityClassName,
			SchedulerName:                 e.cfg.SchedulerName,
			DNSPolicy:                     e.cfg.dnsPolicy,
			DNSConfig:                     e.cfg.DNSConfig,
			HostAliases:                   aliases,
		},
	}
	if e.cfg.RuntimeClassName != "" {
		pod.Spec.RuntimeClassName = &e.cfg.RuntimeClassName
	}
	whole, err := over(e.cfg.pod, podPrefix, wished.amounts)
	if err != nil {
		return nil, err
	}
	if len(whole.Requests)+len(whole.Limits) > 0 {
		pod.Spec.Resources = whole.DeepCopy()
	}
	requestLittle(&pod.Spec)
	return pod, nil
}

func (e *Executor) imagePullSecrets(plan *job.Plan) []corev1.LocalObjectReference {
	if e.cfg.UseServiceAccountImagePullSecrets {
		return nil
	}
	var refs []corev1.LocalObjectReference
	if len(plan.Credentials) > 0 {
		refs = append(refs, corev1.LocalObjectReference{Name: pullSecretName(e.id, plan)})
	}
	for _, name := range e.cfg.ImagePullSecrets {
		refs = append(refs, corev1.LocalObjectReference{Name: name})
	}
	return refs
}

// seconds rounds d up to whole seconds; nil when d is not set.
func seconds(d time.Duration) *int64 {
	if d <= 0 {
		return nil
	}
	n := int64((d + time.Second - 1) / time.Second)
	return &n
}
