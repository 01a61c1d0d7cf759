package config

// A PodSecurityContext holds the pod's security settings.
type PodSecurityContext struct {
	FSGroup            Optional[int64] `toml:"fs_group"`            // group of the volumes' files
	RunAsUser          Optional[int64] `toml:"run_as_user"`         // uid of all containers that have no other
	RunAsGroup         Optional[int64] `toml:"run_as_group"`        // gid, likewise
	RunAsNonRoot       Optional[bool]  `toml:"run_as_non_root"`     // refuse to start a container as root
	SupplementalGroups []int64         `toml:"supplemental_groups"` // further gids
	SELinuxType        string          `toml:"selinux_type"`        // type of the SELinux label
	SeccompProfile     Profile         `toml:"seccomp_profile"`
	AppArmorProfile    Profile         `toml:"app_armor_profile"`
}

// A ContainerSecurityContext holds one container's security settings. What it
// sets beats the pod's.
type ContainerSecurityContext struct {
	Capabilities             Capabilities    `toml:"capabilities"`
	Privileged               Optional[bool]  `toml:"privileged"`                 // like root on the node
	RunAsUser                Optional[int64] `toml:"run_as_user"`                // uid
	RunAsGroup               Optional[int64] `toml:"run_as_group"`               // gid
	RunAsNonRoot             Optional[bool]  `toml:"run_as_non_root"`            // refuse to start as root
	ReadOnlyRootFilesystem   Optional[bool]  `toml:"read_only_root_filesystem"`  // only volumes can be written to
	AllowPrivilegeEscalation Optional[bool]  `toml:"allow_privilege_escalation"` // false: setuid programs gain nothing
	SELinuxType              string          `toml:"selinux_type"`               // type of the SELinux label
	ProcMount                string          `toml:"proc_mount"`                 // Default or Unmasked
	SeccompProfile           Profile         `toml:"seccomp_profile"`
	AppArmorProfile          Profile         `toml:"app_armor_profile"`
}

// Capabilities are Linux capabilities, without CAP_.
type Capabilities struct {
	Add  []string `toml:"add"`  // "SYS_PTRACE"
	Drop []string `toml:"drop"` // "ALL"
}

// A Profile is a seccomp or AppArmor profile.
type Profile struct {
	Type             string `toml:"type"`              // RuntimeDefault, Unconfined or Localhost; "": RuntimeDefault for the pod's seccomp profile, else none is set
	LocalhostProfile string `toml:"localhost_profile"` // file or name on the node, for Localhost
}

// validatePrivileges finds settings that no API server takes together.
func (k *Kubernetes) validatePrivileges(r *report, at string) {
	for key, c := range map[string]ContainerSecurityContext{
		"build_container_security_context": k.BuildSecurityContext, "service_container_security_context": k.ServiceSecurityContext,
		"helper_container_security_context": k.HelperSecurityContext,
	} {
		privileged, escalation := c.Privileged.Or(k.Privileged.Or(false)), at+".allow_privilege_escalation"
		if key == "helper_container_security_context" {
			privileged = c.Privileged.Or(false) // the general key is not for the helper
		}
		if c.AllowPrivilegeEscalation.Set {
			escalation = at + "." + key + ".allow_privilege_escalation"
		}
		if set := c.AllowPrivilegeEscalation.Or(k.AllowPrivilegeEscalation.Or(true)); privileged && !set {
			r.problem(escalation, "false does not go with privileged = true; take one of them out")
		}
	}
}
