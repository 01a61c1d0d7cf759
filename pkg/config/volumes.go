package config

// Volumes are mounted into all containers of every job. Their kinds and keys are
// GitLab Runner's. Of one and the same volume there may be several entries, with
// paths of their own.
type Volumes struct {
	HostPaths  []HostPathVolume  `toml:"host_path"`
	PVCs       []PVCVolume       `toml:"pvc"`
	ConfigMaps []ConfigMapVolume `toml:"config_map"`
	Secrets    []SecretVolume    `toml:"secret"`
	EmptyDirs  []EmptyDirVolume  `toml:"empty_dir"`
	CSIs       []CSIVolume       `toml:"csi"`
	NFSs       []NFSVolume       `toml:"nfs"`
}

// A Mount is what volumes of all kinds have.
type Mount struct {
	Name      string `toml:"name"`       // of the volume, and of what it mounts where that has a name
	MountPath string `toml:"mount_path"` // absolute, may contain variables; that of builds_dir: jobs work in the volume
	SubPath   string `toml:"sub_path"`   // below the volume's top folder, may contain variables
}

// A HostPathVolume is a path of the node.
type HostPathVolume struct {
	Mount            `toml:",prefix"`
	ReadOnly         bool   `toml:"read_only"`         // no writing
	HostPath         string `toml:"host_path"`         // "" means the mount path
	MountPropagation string `toml:"mount_propagation"` // None, HostToContainer or Bidirectional
}

// A PVCVolume is a persistent volume claim; its name may contain variables.
type PVCVolume struct {
	Mount            `toml:",prefix"`
	ReadOnly         bool   `toml:"read_only"`         // no writing
	MountPropagation string `toml:"mount_propagation"` // None, HostToContainer or Bidirectional
}

// A ConfigMapVolume shows a ConfigMap's keys as files.
type ConfigMapVolume struct {
	Mount    `toml:",prefix"`
	ReadOnly bool              `toml:"read_only"` // no writing
	Items    map[string]string `toml:"items"`     // key → path; empty means all keys
}

// A SecretVolume shows a Secret's keys as files.
type SecretVolume struct {
	Mount    `toml:",prefix"`
	ReadOnly bool              `toml:"read_only"` // no writing
	Items    map[string]string `toml:"items"`     // key → path; empty means all keys
}

// An EmptyDirVolume lives as long as the pod.
type EmptyDirVolume struct {
	Mount            `toml:",prefix"`
	Medium           string `toml:"medium"`            // "" or Memory
	SizeLimit        string `toml:"size_limit"`        // quantity
	MountPropagation string `toml:"mount_propagation"` // None, HostToContainer or Bidirectional
}

// A CSIVolume comes from a CSI driver.
type CSIVolume struct {
	Mount            `toml:",prefix"`
	ReadOnly         bool              `toml:"read_only"`         // no writing
	Driver           string            `toml:"driver"`            // name of the CSI driver
	FSType           string            `toml:"fs_type"`           // file system; empty leaves it to the driver
	VolumeAttributes map[string]string `toml:"volume_attributes"` // the driver's own settings
}

// An NFSVolume is an NFS export.
type NFSVolume struct {
	Mount    `toml:",prefix"`
	ReadOnly bool   `toml:"read_only"` // no writing
	Server   string `toml:"server"`    // host name or address
	Path     string `toml:"path"`      // absolute path of the export
}
