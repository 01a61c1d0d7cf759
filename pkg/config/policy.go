package config

import "github.com/runnerd/runnerd/pkg/job"

// A Policy says which jobs a runner takes, and how their pods differ. GitLab
// Runner has no such table. The image lists that it has are in [runners.kubernetes].
type Policy struct {
	Mode              string `toml:"mode"`                // enforce or audit: deny, or only say what would be denied; "enforce"
	Default           string `toml:"default"`             // allow or deny: what is done with a job that no rule matches; "allow"
	ProtectedRefsOnly bool   `toml:"protected_refs_only"` // only jobs of protected branches and tags
	Contact           string `toml:"contact"`             // whom a denied job's author may ask; shown in the job's log
	Events            bool   `toml:"events"`              // record each decision as a Kubernetes Event too

	DeniedImages   []string `toml:"denied_images"`   // globs; they beat every list of what is allowed
	DeniedServices []string `toml:"denied_services"` // globs, likewise

	PinImages          bool        `toml:"pin_images"`          // resolve each tag to a digest once; the pod runs the digest
	InsecureRegistries []string    `toml:"insecure_registries"` // host[:port] of registries without TLS
	Signatures         []Signature `toml:"signatures"`          // which images must be signed, and by whom

	Rules  []Rule       `toml:"rules"` // in order; the first that matches decides
	GitLab PolicyGitLab `toml:"gitlab"`

	NetworkPolicy bool    `toml:"network_policy"` // label job pods for NetworkPolicies
	NetworkTier   string  `toml:"network_tier"`   // of jobs that no rule gives another; "default"
	Network       Network `toml:"network"`
}

// The modes and defaults of a Policy.
const (
	ModeEnforce = "enforce"
	ModeAudit   = "audit"

	DefaultAllow = "allow"
	DefaultDeny  = "deny"
)

// A Rule decides about the jobs that fit all of its conditions. A condition
// that is left out fits every job; of a list one element has to fit.
type Rule struct {
	Name   string `toml:"name"`   // in logs and metrics; unique
	Action string `toml:"action"` // allow, deny or shape: allow, in a pod that differs
	Reason string `toml:"reason"` // for the log of a denied job

	Projects             []string       `toml:"projects"`              // globs of full paths, "group/**"
	Refs                 []string       `toml:"refs"`                  // globs: a branch, or a whole ref such as "refs/tags/v*"
	Protected            Optional[bool] `toml:"protected"`             // of the ref
	Sources              []string       `toml:"sources"`               // of the pipeline: push, web, schedule, merge_request_event, …
	Forks                Optional[bool] `toml:"forks"`                 // merge requests from another project
	Users                []string       `toml:"users"`                 // logins, globs
	UserIDs              []int64        `toml:"user_ids"`              // GitLab's numbers
	Jobs                 []string       `toml:"jobs"`                  // names, globs
	Environments         []string       `toml:"environments"`          // names, globs
	EnvironmentProtected Optional[bool] `toml:"environment_protected"` // at GitLab
	Tags                 []string       `toml:"tags"`                  // of the job, as in .gitlab-ci.yml
	Images               []string       `toml:"images"`                // globs: all of the job's own images to allow it, any of them to deny it
	Expression           string         `toml:"expression"`            // CEL over the same facts

	Namespace       string            `toml:"namespace"`        // of the job's pod and Secrets
	ServiceAccount  string            `toml:"service_account"`  // of the job's pod
	NodeSelector    map[string]string `toml:"node_selector"`    // in addition to the runner's
	NodeTolerations map[string]string `toml:"node_tolerations"` // in addition to the runner's; written as there
	ResourceClass   string            `toml:"resource_class"`   // a name of resource_classes
	NetworkTier     string            `toml:"network_tier"`     // of the job's pod; NetworkTier of the policy unless given
	CacheTier       string            `toml:"cache_tier"`       // caches are shared within a tier only
}

// A Signature demands that images are signed with cosign.
type Signature struct {
	Images []string `toml:"images"` // globs; whatever fits one has to be signed
	Keys   []string `toml:"keys"`   // PEM files of public keys; one of them has to fit
}

// PolicyGitLab is the way to facts that only GitLab itself can tell.
type PolicyGitLab struct {
	Token     job.Secret `toml:"token"`      // that may read the projects' settings (scope read_api); ${NAME} stands for an environment variable
	TokenFile string     `toml:"token_file"` // or the file that holds it
	CacheFor  Duration   `toml:"cache_for"`  // how long an answer is used; 1m
	Timeout   Duration   `toml:"timeout"`    // of all questions about one job; 10s
}

// Asks reports whether GitLab is to be asked.
func (g PolicyGitLab) Asks() bool { return g.Token != "" || g.TokenFile != "" }

// A Network says what job pods may reach, for `runnerd policy network`.
type Network struct {
	DNS         []Peer        `toml:"dns"` // none: the pods labelled k8s-app=kube-dns in kube-system, port 53
	GitLab      []Peer        `toml:"gitlab"`
	ObjectStore []Peer        `toml:"object_store"`
	Proxy       []Peer        `toml:"proxy"`
	Tiers       []NetworkTier `toml:"tiers"`
}

// A NetworkTier may reach more than all job pods may.
type NetworkTier struct {
	Name   string `toml:"name"` // as rules have it in network_tier
	Egress []Peer `toml:"egress"`
}

// A Peer is an address range, or pods of this cluster.
type Peer struct {
	CIDR      string            `toml:"cidr"`      // "203.0.113.0/24"; or else namespace
	Except    []string          `toml:"except"`    // ranges within CIDR that do not belong to it
	Namespace string            `toml:"namespace"` // of the pods
	Pods      map[string]string `toml:"pods"`      // their labels; none: all pods of Namespace
	Ports     []int64           `toml:"ports"`     // TCP; none with udp_ports empty too: all ports
	UDPPorts  []int64           `toml:"udp_ports"` // UDP
}
