package config

func (v *Volumes) validate(r *report, at string) {
	for i, vol := range v.HostPaths {
		p := elementPath(at+".host_path", i)
		vol.Mount.validate(r, p)
		propagation(r, p, vol.MountPropagation)
		if vol.HostPath != "" {
			absolute(r, p+".host_path", vol.HostPath)
		}
	}
	for i, vol := range v.PVCs {
		p := elementPath(at+".pvc", i)
		vol.Mount.validate(r, p)
		propagation(r, p, vol.MountPropagation)
	}
	for i, vol := range v.ConfigMaps {
		vol.Mount.validate(r, elementPath(at+".config_map", i))
	}
	for i, vol := range v.Secrets {
		vol.Mount.validate(r, elementPath(at+".secret", i))
	}
	for i, vol := range v.EmptyDirs {
		p := elementPath(at+".empty_dir", i)
		vol.Mount.validate(r, p)
		propagation(r, p, vol.MountPropagation)
		oneOf(r, p+".medium", vol.Medium, "Memory")
		quantity(r, p+".size_limit", vol.SizeLimit)
	}
	for i, vol := range v.CSIs {
		p := elementPath(at+".csi", i)
		vol.Mount.validate(r, p)
		if vol.Driver == "" {
			r.problem(p+".driver", "missing; name the CSI driver")
		}
	}
	for i, vol := range v.NFSs {
		p := elementPath(at+".nfs", i)
		vol.Mount.validate(r, p)
		if vol.Server == "" {
			r.problem(p+".server", "missing; name the NFS server")
		}
		absolute(r, p+".path", vol.Path)
	}
}

func (m *Mount) validate(r *report, at string) {
	if m.Name == "" {
		r.problem(at+".name", "missing; name the volume")
	}
	absolute(r, at+".mount_path", m.MountPath)
}

func propagation(r *report, at, value string) {
	oneOf(r, at+".mount_propagation", value, "None", "HostToContainer", "Bidirectional")
}
