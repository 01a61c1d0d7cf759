package kubernetes

import (
	"cmp"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Volume is one of the operator's. Its paths, and the name of a claim, may hold
// variables.
type Volume struct {
	Name     string // how the operator calls it
	Source   corev1.VolumeSource
	Path     string // absolute; where the builds directory is, it takes that one's place
	SubPath  string
	ReadOnly bool

	Propagation corev1.MountPropagationMode // "" leaves it to the cluster
}

// mounts are the volumes that all containers of a pod see, and where.
type mounts struct {
	volumes []corev1.Volume
	at      []corev1.VolumeMount
}

// mounts returns the operator's volumes, that of the authorities, and the builds
// directory's where it is none of them. An error is a *job.Failure.
func (e *Executor) mounts(plan *job.Plan) (*mounts, error) {
	m, vars := &mounts{}, volumeVariables(plan)
	builds := path.Clean(cmp.Or(plan.Helper.BuildsDir, "/builds"))
	if !slices.ContainsFunc(e.cfg.Volumes, func(v Volume) bool { return path.Clean(expand(v.Path, vars)) == builds }) {
		m.add(corev1.Volume{Name: volumeBuilds, VolumeSource: emptyDir()}, corev1.VolumeMount{MountPath: builds})
	}
	if e.cfg.Authority.set() {
		m.add(e.cfg.Authority.volume(secretName(e.id, plan)), corev1.VolumeMount{MountPath: authorityDir, ReadOnly: true})
	}
	for _, v := range e.cfg.Volumes {
		if claim := v.Source.PersistentVolumeClaim; claim != nil {
			claim = claim.DeepCopy()
			claim.ClaimName = expand(claim.ClaimName, vars)
			v.Source.PersistentVolumeClaim = claim
			if problems := validation.IsDNS1123Subdomain(claim.ClaimName); len(problems) > 0 {
				return nil, job.Failf(job.RunnerConfigurationError,
					"volume %q of the runner's config is the claim %q for this job, which cannot be a name: %s", v.Name, claim.ClaimName, strings.Join(problems, "; "))
			}
			v.Name = claim.ClaimName
		}
		mount := corev1.VolumeMount{MountPath: path.Clean(expand(v.Path, vars)), SubPath: expand(v.SubPath, vars), ReadOnly: v.ReadOnly}
		if v.Propagation != "" {
			mount.MountPropagation = &v.Propagation
		}
		if err := m.check(v, mount); err != nil {
			return nil, err
		}
		m.add(corev1.Volume{Name: v.Name, VolumeSource: v.Source}, mount)
	}
	return m, nil
}

// check finds what the config could not be checked for, because it has variables.
func (m *mounts) check(v Volume, mount corev1.VolumeMount) error {
	wrong := func(format string, args ...any) error {
		return job.Failf(job.RunnerConfigurationError, "volume %q of the runner's config: %s", v.Name, fmt.Sprintf(format, args...))
	}
	switch own := job.HidesOwn(mount.MountPath); {
	case !path.IsAbs(mount.MountPath):
		return wrong("mount_path %q is %q for this job, which is no absolute path", v.Path, mount.MountPath)
	case strings.Contains(mount.MountPath, ":"):
		return wrong("mount_path %q is %q for this job; Kubernetes takes no colon", v.Path, mount.MountPath)
	case own != "":
		return wrong("mount_path %q would hide what runnerd itself has at %s", mount.MountPath, own)
	case path.IsAbs(mount.SubPath) || slices.Contains(strings.Split(mount.SubPath, "/"), ".."):
		return wrong("sub_path %q is %q for this job, which leads out of the volume", v.SubPath, mount.SubPath)
	}
	for _, other := range m.at {
		if other.MountPath == mount.MountPath {
			return wrong("mount_path %q is that of volume %q as well", mount.MountPath, other.Name)
		}
	}
	return nil
}

// add mounts a volume. One that is there already is mounted once more.
func (m *mounts) add(v corev1.Volume, at corev1.VolumeMount) {
	i := slices.IndexFunc(m.volumes, func(other corev1.Volume) bool {
		return reflect.DeepEqual(other.VolumeSource, v.VolumeSource) && v.EmptyDir == nil
	})
	if i < 0 {
		if v.Name != volumeBuilds && v.Name != volumeAuthority {
			v.Name = m.freeName(v.Name)
		}
		i = len(m.volumes)
		m.volumes = append(m.volumes, v)
	}
	at.Name = m.volumes[i].Name
	m.at = append(m.at, at)
}

// freeName makes a volume's name of the operator's, which may be that of two
// objects, be longer than a volume's may be, or be one of runnerd's own.
func (m *mounts) freeName(name string) string {
	const most = validation.DNS1123LabelMaxLength - len("-99")
	name = strings.ReplaceAll(name, ".", "-")
	name = strings.Trim(name[:min(len(name), most)], "-")
	free := name
	taken := func(v corev1.Volume) bool { return v.Name == free }
	for n := 2; slices.ContainsFunc(m.volumes, taken) || strings.HasPrefix(free, "runnerd-"); n++ {
		name = strings.TrimPrefix(name, "runnerd-")
		free = name + "-" + strconv.Itoa(n)
	}
	return free
}

// volumeVariables are the job's, except that what GitLab says of project and job
// beats every variable: a sub_path with the project's id keeps projects apart.
func volumeVariables(plan *job.Plan) []job.Variable {
	return append(slices.Clone(plan.Environment),
		job.Variable{Key: "CI_PROJECT_ID", Value: strconv.FormatInt(plan.ProjectID, 10)},
		job.Variable{Key: "CI_PROJECT_PATH", Value: plan.ProjectPath},
		job.Variable{Key: "CI_PROJECT_NAME", Value: path.Base(plan.ProjectPath)},
		job.Variable{Key: "CI_PROJECT_NAMESPACE", Value: plan.Namespace.Path},
		job.Variable{Key: "CI_JOB_ID", Value: strconv.FormatInt(plan.JobID, 10)},
		job.Variable{Key: "CI_CONCURRENT_ID", Value: strconv.Itoa(plan.ConcurrentID)},
		job.Variable{Key: "CI_CONCURRENT_PROJECT_ID", Value: strconv.Itoa(plan.ConcurrentProjectID)},
	)
}

func expand(text string, vars []job.Variable) string { return job.Expand(text, vars, "") }
