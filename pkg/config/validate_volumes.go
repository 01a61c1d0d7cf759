package config

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runnerd/runnerd/pkg/job"
)

func (v *Volumes) validate(r *report, at, buildsDir string) {
	for i, vol := range v.HostPaths {
		p := elementPath(at+".host_path", i)
		propagation(r, p, vol.MountPropagation)
		if vol.HostPath != "" {
			absolute(r, p+".host_path", vol.HostPath)
		} else if strings.Contains(vol.MountPath, "$") {
			r.problem(p+".host_path", "missing, and mount_path has a variable; write the node's path")
		}
	}
	for i, vol := range v.PVCs {
		propagation(r, elementPath(at+".pvc", i), vol.MountPropagation)
	}
	for i, vol := range v.ConfigMaps {
		items(r, elementPath(at+".config_map", i), vol.Items)
	}
	for i, vol := range v.Secrets {
		items(r, elementPath(at+".secret", i), vol.Items)
	}
	for i, vol := range v.EmptyDirs {
		p := elementPath(at+".empty_dir", i)
		propagation(r, p, vol.MountPropagation)
		oneOf(r, p+".medium", vol.Medium, "Memory")
		quantity(r, p+".size_limit", vol.SizeLimit)
	}
	for i, vol := range v.CSIs {
		if vol.Driver == "" {
			r.problem(elementPath(at+".csi", i)+".driver", "missing; name the CSI driver")
		}
	}
	for i, vol := range v.NFSs {
		p := elementPath(at+".nfs", i)
		if vol.Server == "" {
			r.problem(p+".server", "missing; name the NFS server")
		}
		absolute(r, p+".path", vol.Path)
	}
	v.validateMounts(r, at, buildsDir)
}

// validateMounts checks where the volumes are mounted: no two at one place, none
// over what is runnerd's own. What a variable stands in is checked for each job.
func (v *Volumes) validateMounts(r *report, at, buildsDir string) {
	taken := map[string]string{} // mount path → the volume there
	labels := map[string]string{}
	list := v.all(at)
	slices.SortStableFunc(list, func(a, b mounted) int { return cmp.Compare(r.index.line(a.at), r.index.line(b.at)) })
	for _, m := range list {
		m.validate(r, labels)
		absolute(r, m.at+".mount_path", m.MountPath)
		if !path.IsAbs(m.MountPath) || strings.Contains(m.MountPath, "$") {
			continue
		}
		dir := path.Clean(m.MountPath)
		switch own := job.HidesOwn(dir); {
		case taken[dir] != "":
			r.problem(m.at+".mount_path", "%q: %s is mounted there as well; give each volume a path of its own", m.MountPath, taken[dir])
		case strings.Contains(dir, ":"):
			r.problem(m.at+".mount_path", "%q has a colon; Kubernetes takes none", m.MountPath)
		case own != "":
			r.problem(m.at+".mount_path", "%q: what runnerd itself has at %s could not be seen; mount the volume elsewhere", m.MountPath, own)
		case dir == path.Clean(buildsDir) && m.readOnly:
			r.problem(m.at+".mount_path", "%q is builds_dir, where jobs work, and the volume is read-only; mount it elsewhere, or take read_only out", m.MountPath)
		}
		taken[dir] = m.at
	}
}

// A mounted is a Mount with what the checks need of its volume.
type mounted struct {
	*Mount
	at       string // its path in the file
	readOnly bool
	label    bool // its name is nothing but the volume's own
}

// all returns the mounts of all kinds in the order of [Volumes].
func (v *Volumes) all(at string) (list []mounted) {
	add := func(kind string, i int, m *Mount, readOnly, label bool) {
		list = append(list, mounted{m, elementPath(at+"."+kind, i), readOnly, label})
	}
	for i := range v.HostPaths {
		add("host_path", i, &v.HostPaths[i].Mount, v.HostPaths[i].ReadOnly, true)
	}
	for i := range v.PVCs {
		add("pvc", i, &v.PVCs[i].Mount, v.PVCs[i].ReadOnly, false)
	}
	for i := range v.ConfigMaps {
		add("config_map", i, &v.ConfigMaps[i].Mount, true, false)
	}
	for i := range v.Secrets {
		add("secret", i, &v.Secrets[i].Mount, true, false)
	}
	for i := range v.EmptyDirs {
		add("empty_dir", i, &v.EmptyDirs[i].Mount, false, true)
	}
	for i := range v.CSIs {
		add("csi", i, &v.CSIs[i].Mount, v.CSIs[i].ReadOnly, true)
	}
	for i := range v.NFSs {
		add("nfs", i, &v.NFSs[i].Mount, v.NFSs[i].ReadOnly, true)
	}
	return list
}

func (m mounted) validate(r *report, labels map[string]string) {
	switch {
	case m.Name == "":
		r.problem(m.at+".name", "missing; name the volume")
	case strings.Contains(m.Name, "$"):
		if m.label || !strings.Contains(m.at, ".pvc[") {
			r.problem(m.at+".name", "%q: only the name of a claim (pvc) may contain variables", m.Name)
		}
	case len(validation.IsDNS1123Subdomain(m.Name)) > 0:
		r.problem(m.at+".name", "%q cannot be a name in Kubernetes; write small letters, digits and dashes", m.Name)
	case m.label && labels[m.Name] != "":
		r.problem(m.at+".name", "%q is the name of %s as well; give each volume a name of its own", m.Name, labels[m.Name])
	case m.label:
		labels[m.Name] = m.at
	}
	if path.IsAbs(m.SubPath) || climbs(m.SubPath) {
		r.problem(m.at+".sub_path", "%q leads out of the volume; write a path below its top folder, without \"..\"", m.SubPath)
	}
}

// items checks key → path of the files of a ConfigMap or Secret.
func items(r *report, at string, list map[string]string) {
	for key, file := range list {
		if file == "" || path.IsAbs(file) || climbs(file) {
			r.problem(joinPath(at+".items", key), "%q: write the file's path in the volume, without a leading \"/\" and \"..\"", file)
		}
	}
}

// climbs reports whether a path has a "..", which Kubernetes refuses anywhere.
func climbs(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

func propagation(r *report, at, value string) {
	oneOf(r, at+".mount_propagation", value, "None", "HostToContainer", "Bidirectional")
}
