package kubernetes

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runnerd/runnerd/pkg/job"
)

// Names of the pod's containers that are always there.
const (
	containerHelper = "helper"
	containerBuild  = "build"
)

// buildLoop waits for the agent that the helper puts into the shared volume,
// and becomes it. The image has a shell, and nothing else for sure. Without the
// trap the shell, as PID 1, would not hear a SIGTERM.
const buildLoop = `trap 'exit 143' TERM
until [ -x ` + shareDir + `/bin/runnerd-agent ]; do
  sleep 0.05 2>/dev/null || sleep 1 2>/dev/null || :
done
exec ` + shareDir + `/bin/runnerd-agent build --plan ` + planDir + `/` + job.BuildPlanFile + ` --share ` + shareDir

// helperContainer has no variables of the job in its environment: the plan
// names those that its programs shall see, and a user's LD_PRELOAD must not
// reach a container that holds upload URLs.
func (e *Executor) helperContainer(policy corev1.PullPolicy, resources corev1.ResourceRequirements) corev1.Container {
	return corev1.Container{
		Name:            containerHelper,
		Image:           e.cfg.HelperImage,
		ImagePullPolicy: policy,
		Command: []string{
			agentPath, "helper",
			"--plan", planDir + "/" + job.HelperPlanFile, "--share", shareDir, "--control", controlDir,
		},
		Resources:       resources,
		SecurityContext: e.cfg.security(e.cfg.HelperSecurityContext, nil),
		VolumeMounts: []corev1.VolumeMount{
			{Name: volumeShare, MountPath: shareDir},
			{Name: volumeMemory, MountPath: memoryDir},
			{Name: volumeControl, MountPath: controlDir, ReadOnly: true},
			{Name: volumeHelperPlan, MountPath: planDir, ReadOnly: true},
		},
	}
}

// buildContainer runs the user's image, with a shell in place of its entrypoint,
// or, if the job wants it, with a shell as the entrypoint's arguments.
func (e *Executor) buildContainer(plan *job.Plan, policy corev1.PullPolicy, resources corev1.ResourceRequirements) (corev1.Container, error) {
	sc := e.cfg.security(e.cfg.BuildSecurityContext, e.cfg.Privileged)
	if err := runAs(sc, plan.Image.User); err != nil {
		return corev1.Container{}, err
	}
	command, args := []string{"sh", "-c", buildLoop}, []string(nil)
	if plan.Helper.Entrypoint && !noEntrypoint(plan.Image.Entrypoint) {
		command, args = literals(plan.Image.Entrypoint), literals(command)
	}
	return corev1.Container{
		Name:            containerBuild,
		Image:           plan.Image.Reference(),
		ImagePullPolicy: policy,
		Command:         command,
		Args:            args,
		Env:             environment(plan),
		Resources:       resources,
		SecurityContext: sc,
		VolumeMounts: []corev1.VolumeMount{
			{Name: volumeShare, MountPath: shareDir},
			{Name: volumeMemory, MountPath: memoryDir},
			{Name: volumeBuildPlan, MountPath: planDir, ReadOnly: true},
		},
	}, nil
}

// noEntrypoint reports whether entrypoint is how a job says that its image shall
// have none: [""].
func noEntrypoint(entrypoint []string) bool {
	return len(entrypoint) > 0 && strings.Join(entrypoint, "") == ""
}

// entrypointNote tells that an entrypoint which the job names is not run.
func entrypointNote(plan *job.Plan) string {
	if plan.Helper.Entrypoint || len(plan.Image.Entrypoint) == 0 || noEntrypoint(plan.Image.Entrypoint) {
		return ""
	}
	return "The image's entrypoint is replaced by a shell; with FF_KUBERNETES_HONOR_ENTRYPOINT it is run, and has to run its arguments"
}

// serviceContainer runs the i-th service. Its own variables may hold a secret
// that the user put there by name, so the pod only refers to them.
func (e *Executor) serviceContainer(plan *job.Plan, i int, policy corev1.PullPolicy, resources corev1.ResourceRequirements) (corev1.Container, error) {
	service := plan.Services[i]
	sc := e.cfg.security(e.cfg.ServiceSecurityContext, e.cfg.Privileged)
	if err := runAs(sc, service.User); err != nil {
		return corev1.Container{}, err
	}
	env := environment(plan)
	for n, v := range service.Variables {
		if !usableName(v.Key) {
			continue
		}
		env = slices.DeleteFunc(env, func(old corev1.EnvVar) bool { return old.Name == v.Key })
		env = append(env, corev1.EnvVar{Name: v.Key, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secretName(e.id, plan)},
			Key:                  serviceKey(i, n),
		}}})
	}
	return corev1.Container{
		Name:            serviceNames(plan)[i],
		Image:           service.Reference(),
		ImagePullPolicy: policy,
		Command:         literals(service.Entrypoint),
		Args:            literals(service.Command),
		Env:             env,
		Resources:       resources,
		SecurityContext: sc,
	}, nil
}

// serviceNames names the services' containers: by the first alias that is free
// and a valid name, else by number.
func serviceNames(plan *job.Plan) []string {
	names := []string{containerHelper, containerBuild, "init-permissions"}
	own := len(names)
	for i, service := range plan.Services {
		name := fmt.Sprintf("svc-%d", i)
		for _, alias := range service.Aliases {
			if len(validation.IsDNS1123Label(alias)) == 0 && !slices.Contains(names, alias) && !strings.HasPrefix(alias, "svc-") {
				name = alias
				break
			}
		}
		names = append(names, name)
	}
	return names[own:]
}

// environment is what the pod spec shows of the job's variables: those that
// may be seen by everybody who can read pods. Of a key that repeats the last
// one counts. A PATH is for the scripts, which get it from the plan: here it
// would decide whether the container's own program is found.
func environment(plan *job.Plan) []corev1.EnvVar {
	var env []corev1.EnvVar
	at := map[string]int{}
	for _, v := range plan.Environment {
		if !usableName(v.Key) || v.Key == "PATH" {
			continue
		}
		if v.File && !strings.HasPrefix(v.Value, plan.Helper.TempDir+"/") {
			v.Value = path.Join(plan.Helper.TempDir, v.Key)
		}
		entry := corev1.EnvVar{Name: v.Key, Value: literal(v.Value)}
		if i, ok := at[v.Key]; ok {
			env[i] = entry
			continue
		}
		at[v.Key] = len(env)
		env = append(env, entry)
	}
	return env
}

// usableName reports whether every Kubernetes takes key as a variable's name.
func usableName(key string) bool { return len(validation.IsEnvVarName(key)) == 0 }

// literal keeps Kubernetes from expanding $(NAME) in s.
func literal(s string) string { return strings.ReplaceAll(s, "$", "$$") }

func literals(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = literal(s)
	}
	return out
}
