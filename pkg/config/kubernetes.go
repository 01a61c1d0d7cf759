package config

import "github.com/runnerd/runnerd/pkg/job"

// Kubernetes says where and how job pods run. "" and empty mean that runnerd
// or the cluster decides, unless a field says otherwise.
type Kubernetes struct {
	// The way to the API server. Without Host, Context and a kubeconfig it is
	// the cluster that runnerd runs in.
	Host        string     `toml:"host"`
	Context     string     `toml:"context"` // of the kubeconfig
	CertFile    string     `toml:"cert_file"`
	KeyFile     string     `toml:"key_file"`
	CAFile      string     `toml:"ca_file"`
	BearerToken job.Secret `toml:"bearer_token"`

	Namespace                    string         `toml:"namespace"` // of job pods, may contain variables; "default"
	ServiceAccount               string         `toml:"service_account"`
	AutomountServiceAccountToken Optional[bool] `toml:"automount_service_account_token"`

	PollTimeout            Seconds         `toml:"poll_timeout"`                         // until the pod runs; 180 s
	PauseOnQuota           bool            `toml:"pause_on_quota"`                       // take no job that the namespace's quota has no room for; true
	PauseOnUnschedulable   int             `toml:"pause_on_unschedulable"`               // take no job while so many pods wait for a node; 1; 0 means never
	CleanupGracePeriod     Optional[int64] `toml:"cleanup_grace_period_seconds"`         // s, for deleting the pod after the job
	TerminationGracePeriod Optional[int64] `toml:"pod_termination_grace_period_seconds"` // s, in the pod's spec

	KeepFailedPods    Duration `toml:"keep_failed_pods"`     // how long a failed job's pod stays for people to look into; 0 deletes it at once
	KeepFailedPodsMax int      `toml:"keep_failed_pods_max"` // the oldest go first; 10

	Image                             string   `toml:"image"`        // for jobs that name none; may contain variables
	HelperImage                       string   `toml:"helper_image"` // with git and runnerd-agent; "" means the one of this version
	PullPolicy                        Strings  `toml:"pull_policy"`  // always, if-not-present, never; the next one after a failed pull
	AllowedPullPolicies               []string `toml:"allowed_pull_policies"`
	ImagePullSecrets                  []string `toml:"image_pull_secrets"`
	UseServiceAccountImagePullSecrets bool     `toml:"use_service_account_image_pull_secrets"` // add no pull secret to the pod
	AllowedImages                     []string `toml:"allowed_images"`                         // globs; empty allows all
	AllowedServices                   []string `toml:"allowed_services"`                       // globs; empty allows all
	AllowedUsers                      []string `toml:"allowed_users"`                          // uids that a job may ask for; 0 only when listed
	AllowedGroups                     []string `toml:"allowed_groups"`                         // gids, as AllowedUsers

	Privileged               Optional[bool] `toml:"privileged"`
	AllowPrivilegeEscalation Optional[bool] `toml:"allow_privilege_escalation"`
	CapAdd                   []string       `toml:"cap_add"`
	CapDrop                  []string       `toml:"cap_drop"` // nil drops NET_RAW
	RuntimeClassName         string         `toml:"runtime_class_name"`

	Services []ConfiguredService `toml:"services"` // beside those of the job

	BuildResources   Resources    `toml:",prefix"`
	ServiceResources Resources    `toml:"service_,prefix"`
	HelperResources  Resources    `toml:"helper_,prefix"`
	PodResources     PodResources `toml:"pod_,prefix"`

	// ResourceClasses are resources of the build container that a policy rule
	// can choose by name; what a class leaves out stays as it is for all.
	ResourceClasses map[string]ResourceClass `toml:"resource_classes"`

	NodeSelector      map[string]string `toml:"node_selector"`
	NodeTolerations   map[string]string `toml:"node_tolerations"` // "key=value" or "key" → effect; "" means every effect
	Affinity          Affinity          `toml:"affinity"`
	PriorityClassName string            `toml:"priority_class_name"`
	SchedulerName     string            `toml:"scheduler_name"`
	PodLabels         map[string]string `toml:"pod_labels"`      // values may contain variables
	PodAnnotations    map[string]string `toml:"pod_annotations"` // values may contain variables
	DoNotDisrupt      bool              `toml:"do_not_disrupt"`  // tells autoscalers of nodes to leave job pods where they are; true

	DNSPolicy   string      `toml:"dns_policy"` // none, default, cluster-first or cluster-first-with-host-net
	DNSConfig   DNSConfig   `toml:"dns_config"`
	HostAliases []HostAlias `toml:"host_aliases"`

	PodSecurityContext     PodSecurityContext       `toml:"pod_security_context"`
	BuildSecurityContext   ContainerSecurityContext `toml:"build_container_security_context"`
	HelperSecurityContext  ContainerSecurityContext `toml:"helper_container_security_context"`
	ServiceSecurityContext ContainerSecurityContext `toml:"service_container_security_context"`

	Volumes Volumes `toml:"volumes"`

	CABundle CABundle `toml:"ca_bundle"` // runnerd's own, as the proxies are
	Proxy    Proxy    `toml:",prefix"`

	// What a job may change by its variables (KUBERNETES_…_OVERWRITE and kin).
	// Regular expressions, not anchored; "" allows nothing.
	//
	// OverwriteNamespaces are the namespaces that a job may choose beside
	// Namespace; runnerd's own key, because it watches them from its start.
	OverwriteNamespaces             []string `toml:"overwrite_namespaces"`
	NamespaceOverwriteAllowed       string   `toml:"namespace_overwrite_allowed"`
	ServiceAccountOverwriteAllowed  string   `toml:"service_account_overwrite_allowed"`
	NodeSelectorOverwriteAllowed    string   `toml:"node_selector_overwrite_allowed"`
	NodeTolerationsOverwriteAllowed string   `toml:"node_tolerations_overwrite_allowed"`
	PodLabelsOverwriteAllowed       string   `toml:"pod_labels_overwrite_allowed"`
	PodAnnotationsOverwriteAllowed  string   `toml:"pod_annotations_overwrite_allowed"`
}

// Resources are quantities of one container, as Kubernetes writes them. The
// …Max fields bound what a job may ask for by its variables; "" allows nothing.
type Resources struct {
	CPURequest              string `toml:"cpu_request"`
	CPULimit                string `toml:"cpu_limit"`
	MemoryRequest           string `toml:"memory_request"`
	MemoryLimit             string `toml:"memory_limit"`
	EphemeralStorageRequest string `toml:"ephemeral_storage_request"`
	EphemeralStorageLimit   string `toml:"ephemeral_storage_limit"`

	CPURequestMax              string `toml:"cpu_request_overwrite_max_allowed"`
	CPULimitMax                string `toml:"cpu_limit_overwrite_max_allowed"`
	MemoryRequestMax           string `toml:"memory_request_overwrite_max_allowed"`
	MemoryLimitMax             string `toml:"memory_limit_overwrite_max_allowed"`
	EphemeralStorageRequestMax string `toml:"ephemeral_storage_request_overwrite_max_allowed"`
	EphemeralStorageLimitMax   string `toml:"ephemeral_storage_limit_overwrite_max_allowed"`
}

// A ResourceClass is a set of quantities of the build container.
type ResourceClass struct {
	CPURequest              string `toml:"cpu_request"`
	CPULimit                string `toml:"cpu_limit"`
	MemoryRequest           string `toml:"memory_request"`
	MemoryLimit             string `toml:"memory_limit"`
	EphemeralStorageRequest string `toml:"ephemeral_storage_request"`
	EphemeralStorageLimit   string `toml:"ephemeral_storage_limit"`
}

// PodResources are quantities of the whole pod.
type PodResources struct {
	CPURequest    string `toml:"cpu_request"`
	CPULimit      string `toml:"cpu_limit"`
	MemoryRequest string `toml:"memory_request"`
	MemoryLimit   string `toml:"memory_limit"`

	CPURequestMax    string `toml:"cpu_request_overwrite_max_allowed"`
	CPULimitMax      string `toml:"cpu_limit_overwrite_max_allowed"`
	MemoryRequestMax string `toml:"memory_request_overwrite_max_allowed"`
	MemoryLimitMax   string `toml:"memory_limit_overwrite_max_allowed"`
}

// A ConfiguredService is a service that every job gets.
type ConfiguredService struct {
	Name        string   `toml:"name"`        // image, may contain variables
	Alias       string   `toml:"alias"`       // host names, separated by spaces or commas
	Command     []string `toml:"command"`     // the container's arguments
	Entrypoint  []string `toml:"entrypoint"`  // the container's command
	Environment []string `toml:"environment"` // KEY=VALUE
}

// DNSConfig is the pod's dnsConfig.
type DNSConfig struct {
	Nameservers []string    `toml:"nameservers"`
	Searches    []string    `toml:"searches"`
	Options     []DNSOption `toml:"options"`
}

// A DNSOption is one resolver option.
type DNSOption struct {
	Name  string           `toml:"name"`
	Value Optional[string] `toml:"value"`
}

// A HostAlias is a line of the pod's hosts file.
type HostAlias struct {
	IP        string   `toml:"ip"`
	Hostnames []string `toml:"hostnames"`
}
