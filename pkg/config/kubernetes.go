package config

import "github.com/runnerd/runnerd/pkg/job"

// Kubernetes says where and how job pods run. "" and empty mean that runnerd
// or the cluster decides, unless a field says otherwise.
type Kubernetes struct {
	// The way to the API server. Without a host, a context and a kubeconfig it is
	// the cluster that runnerd runs in.

	Host        string     `toml:"host"`         // of the API server; without it the kubeconfig's, or that of the cluster that runnerd runs in
	Context     string     `toml:"context"`      // of the kubeconfig
	CertFile    string     `toml:"cert_file"`    // PEM; client certificate for the API server
	KeyFile     string     `toml:"key_file"`     // PEM; its key
	CAFile      string     `toml:"ca_file"`      // PEM; the authority of the API server's certificate
	BearerToken job.Secret `toml:"bearer_token"` // for the API server

	Namespace                    string         `toml:"namespace"`                       // of job pods, a name without variables; "default"
	ServiceAccount               string         `toml:"service_account"`                 // of job pods; empty means the namespace's default one
	AutomountServiceAccountToken Optional[bool] `toml:"automount_service_account_token"` // whether job pods get its token; not set means no, unless there is a service_account; then the cluster decides

	PollTimeout            Seconds         `toml:"poll_timeout"`                         // until the pod runs; 180 s
	PauseOnQuota           bool            `toml:"pause_on_quota"`                       // take no job that the namespace's quota has no room for; true
	PauseOnUnschedulable   int             `toml:"pause_on_unschedulable"`               // take no job while so many pods wait for a node; 1; 0 means never
	CleanupGracePeriod     Optional[int64] `toml:"cleanup_grace_period_seconds"`         // s, for deleting the pod after the job
	TerminationGracePeriod Optional[int64] `toml:"pod_termination_grace_period_seconds"` // s, in the pod's spec

	KeepFailedPods    Duration `toml:"keep_failed_pods"`     // how long a failed job's pod stays for people to look into; 0 deletes it at once
	KeepFailedPodsMax int      `toml:"keep_failed_pods_max"` // how many of them; the oldest go first; 0 means 10

	Image                             string   `toml:"image"`                                  // for jobs that name none; may contain variables
	HelperImage                       string   `toml:"helper_image"`                           // with git and runnerd-agent; "" means the one of this version
	PullPolicy                        Strings  `toml:"pull_policy"`                            // always, if-not-present, never; the next one after a failed pull
	AllowedPullPolicies               []string `toml:"allowed_pull_policies"`                  // what a job may choose; empty means those of pull_policy
	ImagePullSecrets                  []string `toml:"image_pull_secrets"`                     // names of Secrets in the pod's namespace
	UseServiceAccountImagePullSecrets bool     `toml:"use_service_account_image_pull_secrets"` // add no pull secret to the pod
	AllowedImages                     []string `toml:"allowed_images"`                         // globs; empty allows all
	AllowedServices                   []string `toml:"allowed_services"`                       // globs; empty allows all
	AllowedUsers                      []string `toml:"allowed_users"`                          // uids that a job may ask for; empty allows all but 0, which has to be listed
	AllowedGroups                     []string `toml:"allowed_groups"`                         // gids, as allowed_users

	Privileged               Optional[bool] `toml:"privileged"`                 // of build and services, never of the helper
	AllowPrivilegeEscalation Optional[bool] `toml:"allow_privilege_escalation"` // of all containers; not set means no, unless one is privileged or has SYS_ADMIN
	CapAdd                   []string       `toml:"cap_add"`                    // of all containers; names without CAP_
	CapDrop                  []string       `toml:"cap_drop"`                   // of all containers; NET_RAW is dropped as well, unless cap_add has it
	RuntimeClassName         string         `toml:"runtime_class_name"`         // of job pods

	Services []ConfiguredService `toml:"services"` // beside those of the job

	BuildResources   Resources    `toml:",prefix"`
	ServiceResources Resources    `toml:"service_,prefix"`
	HelperResources  Resources    `toml:"helper_,prefix"`
	PodResources     PodResources `toml:"pod_,prefix"`

	ResourceClasses map[string]ResourceClass `toml:"resource_classes"` // which a policy rule can choose by name; what one leaves out stays as it is for all

	NodeSelector      map[string]string `toml:"node_selector"`    // labels that a job's node has to have
	NodeTolerations   map[string]string `toml:"node_tolerations"` // "key=value" or "key" → effect; "" means every effect
	Affinity          Affinity          `toml:"affinity"`
	PriorityClassName string            `toml:"priority_class_name"` // of job pods
	SchedulerName     string            `toml:"scheduler_name"`      // of job pods
	PodLabels         map[string]string `toml:"pod_labels"`          // values may contain variables
	PodAnnotations    map[string]string `toml:"pod_annotations"`     // values may contain variables
	DoNotDisrupt      bool              `toml:"do_not_disrupt"`      // tells autoscalers of nodes to leave job pods where they are; true

	DNSPolicy   string      `toml:"dns_policy"` // none, default, cluster-first or cluster-first-with-host-net
	DNSConfig   DNSConfig   `toml:"dns_config"`
	HostAliases []HostAlias `toml:"host_aliases"`

	PodSecurityContext     PodSecurityContext       `toml:"pod_security_context"`
	BuildSecurityContext   ContainerSecurityContext `toml:"build_container_security_context"`
	HelperSecurityContext  ContainerSecurityContext `toml:"helper_container_security_context"`
	ServiceSecurityContext ContainerSecurityContext `toml:"service_container_security_context"`

	Volumes Volumes `toml:"volumes"`

	CABundle CABundle `toml:"ca_bundle"` // authorities that jobs trust: path of a file, or { config_map = "name", key = "ca.crt" }, or { secret = "name", key = "ca.crt" }
	Proxy    Proxy    `toml:",prefix"`

	// What a job may change by its variables (KUBERNETES_…_OVERWRITE and kin).
	// Regular expressions, not anchored; "" allows nothing. OverwriteNamespaces is
	// runnerd's own key: it watches these namespaces from its start.

	OverwriteNamespaces             []string `toml:"overwrite_namespaces"`               // those that a job may choose, beside namespace
	NamespaceOverwriteAllowed       string   `toml:"namespace_overwrite_allowed"`        // for KUBERNETES_NAMESPACE_OVERWRITE; a regular expression
	ServiceAccountOverwriteAllowed  string   `toml:"service_account_overwrite_allowed"`  // for KUBERNETES_SERVICE_ACCOUNT_OVERWRITE; a regular expression
	NodeSelectorOverwriteAllowed    string   `toml:"node_selector_overwrite_allowed"`    // for KUBERNETES_NODE_SELECTOR_…; a regular expression for key=value
	NodeTolerationsOverwriteAllowed string   `toml:"node_tolerations_overwrite_allowed"` // for KUBERNETES_NODE_TOLERATIONS_…; a regular expression for key=value:effect
	PodLabelsOverwriteAllowed       string   `toml:"pod_labels_overwrite_allowed"`       // for KUBERNETES_POD_LABELS_…; a regular expression for key=value
	PodAnnotationsOverwriteAllowed  string   `toml:"pod_annotations_overwrite_allowed"`  // for KUBERNETES_POD_ANNOTATIONS_…; a regular expression for key=value
}

// Resources are quantities of one container, as Kubernetes writes them. The
// …Max fields bound what a job may ask for by its variables; "" allows nothing.
type Resources struct {
	CPURequest              string `toml:"cpu_request"`               // "500m"; where neither it nor a limit is given: 50m for the build container, 10m for the others
	CPULimit                string `toml:"cpu_limit"`                 // "2"
	MemoryRequest           string `toml:"memory_request"`            // "512Mi"; where neither it nor a limit is given: 128Mi for the build container, 32Mi for the others
	MemoryLimit             string `toml:"memory_limit"`              // "2Gi"
	EphemeralStorageRequest string `toml:"ephemeral_storage_request"` // "2Gi"
	EphemeralStorageLimit   string `toml:"ephemeral_storage_limit"`   // "10Gi"

	CPURequestMax              string `toml:"cpu_request_overwrite_max_allowed"`               // the most that a job may ask for
	CPULimitMax                string `toml:"cpu_limit_overwrite_max_allowed"`                 // likewise
	MemoryRequestMax           string `toml:"memory_request_overwrite_max_allowed"`            // likewise
	MemoryLimitMax             string `toml:"memory_limit_overwrite_max_allowed"`              // likewise
	EphemeralStorageRequestMax string `toml:"ephemeral_storage_request_overwrite_max_allowed"` // likewise
	EphemeralStorageLimitMax   string `toml:"ephemeral_storage_limit_overwrite_max_allowed"`   // likewise
}

// A ResourceClass is a set of quantities of the build container.
type ResourceClass struct {
	CPURequest              string `toml:"cpu_request"`               // "500m"
	CPULimit                string `toml:"cpu_limit"`                 // "2"
	MemoryRequest           string `toml:"memory_request"`            // "512Mi"
	MemoryLimit             string `toml:"memory_limit"`              // "2Gi"
	EphemeralStorageRequest string `toml:"ephemeral_storage_request"` // "2Gi"
	EphemeralStorageLimit   string `toml:"ephemeral_storage_limit"`   // "10Gi"
}

// PodResources are quantities of the whole pod.
type PodResources struct {
	CPURequest    string `toml:"cpu_request"`    // of the pod
	CPULimit      string `toml:"cpu_limit"`      // of the pod
	MemoryRequest string `toml:"memory_request"` // of the pod
	MemoryLimit   string `toml:"memory_limit"`   // of the pod

	CPURequestMax    string `toml:"cpu_request_overwrite_max_allowed"`    // the most that a job may ask for
	CPULimitMax      string `toml:"cpu_limit_overwrite_max_allowed"`      // likewise
	MemoryRequestMax string `toml:"memory_request_overwrite_max_allowed"` // likewise
	MemoryLimitMax   string `toml:"memory_limit_overwrite_max_allowed"`   // likewise
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
	Nameservers []string    `toml:"nameservers"` // IP addresses
	Searches    []string    `toml:"searches"`    // domains that are tried behind a short name
	Options     []DNSOption `toml:"options"`
}

// A DNSOption is one resolver option.
type DNSOption struct {
	Name  string           `toml:"name"`  // "ndots"
	Value Optional[string] `toml:"value"` // "2"; left out for an option that has none
}

// A HostAlias is a line of the pod's hosts file.
type HostAlias struct {
	IP        string   `toml:"ip"`        // address
	Hostnames []string `toml:"hostnames"` // names that lead to it
}
