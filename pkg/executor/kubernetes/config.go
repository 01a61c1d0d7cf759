package kubernetes

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/lease"
)

// Config is what an operator decides about job pods: the keys of
// [runners.kubernetes], named as there. "", 0 and nil leave a thing to runnerd
// or to the cluster. [New] checks it.
type Config struct {
	Namespace  string   // of the job pods, without variables; "" is "default"
	Namespaces []string // further ones, which a job's Placement may name

	HelperImage         string   // with git and runnerd-agent; required
	PullPolicies        []string // always, if-not-present, never: the next one after a failed pull
	AllowedPullPolicies []string // what a job may ask for; nil allows PullPolicies
	ImagePullSecrets    []string // names of Secrets in Namespace and each of Namespaces

	// UseServiceAccountImagePullSecrets adds no pull secret to the pod, not even
	// one with the job's credentials.
	UseServiceAccountImagePullSecrets bool

	ServiceAccount               string
	AutomountServiceAccountToken *bool // nil: no token, unless an account is chosen by name

	Build, Helper, Service ResourceList // of each container; little is requested where nothing is said
	Pod                    ResourceList // of the whole pod; CPU and memory only

	// Classes are what a job's Placement may choose for the build container by
	// name. What a class leaves out is as in Build.
	Classes map[string]ResourceList

	Privileged               *bool    // build and services; never the helper
	AllowPrivilegeEscalation *bool    // all containers; nil: no, unless they are privileged
	CapAdd, CapDrop          []string // all containers; NET_RAW is dropped unless added
	RuntimeClassName         string
	PodSecurityContext       *corev1.PodSecurityContext // the seccomp profile is RuntimeDefault where nothing is said
	BuildSecurityContext     *corev1.SecurityContext    // what it sets beats the fields above
	HelperSecurityContext    *corev1.SecurityContext
	ServiceSecurityContext   *corev1.SecurityContext

	NodeSelector      map[string]string
	NodeTolerations   map[string]string // "key=value" or "key" → effect; "" means every effect
	Affinity          *corev1.Affinity
	PriorityClassName string
	SchedulerName     string
	PodLabels         map[string]string // values may hold variables; keys of runner.gitlab.com and runnerd.io are left out
	PodAnnotations    map[string]string // values may hold variables
	DoNotDisrupt      bool              // autoscalers of nodes are to leave the pods where they are

	Permissions Permissions // what a job's variables may change

	Volumes   []Volume  // the operator's, in all containers
	Authority Authority // whom jobs trust in addition to what their images do

	DNSPolicy   string // none, default, cluster-first, cluster-first-with-host-net
	DNSConfig   *corev1.PodDNSConfig
	HostAliases []corev1.HostAlias

	// ReservedHosts are host names, without ports, that no service may have: the
	// helper sends credentials to them, and a service's names lead to the service
	// for the helper as well.
	ReservedHosts []string

	// PollTimeout is how long a pod may take from its creation until helper and
	// build run; 0 is 3 minutes.
	PollTimeout time.Duration

	// PauseOnQuota has Room look at the quotas of Namespace. PauseOnUnschedulable is
	// how many pods have to wait for a node until it says that there is no room; 0
	// is any number.
	PauseOnQuota         bool
	PauseOnUnschedulable int

	// TerminationGracePeriod is what the cluster gives the pod when it wants it
	// gone: terminationGracePeriodSeconds. 0 leaves it to the cluster (30 s).
	TerminationGracePeriod time.Duration

	// KeepFailedPods is how long the pods of failed jobs stay, at most
	// KeepFailedPodsMax of them; 0 deletes them at once.
	KeepFailedPods    time.Duration
	KeepFailedPodsMax int // 0 is 10

	// CleanupGracePeriod is what a finished pod's containers get when it is
	// deleted; 0 is 1 s. Normally they have ended long before.
	CleanupGracePeriod time.Duration
}

// A ResourceList says what a container asks for and gets at most, as quantities
// ("500m", "1Gi").
type ResourceList struct {
	CPURequest, CPULimit                           string
	MemoryRequest, MemoryLimit                     string
	EphemeralStorageRequest, EphemeralStorageLimit string
}

// Identity says whose pods they are.
type Identity struct {
	SystemID   string // of this runner manager, "r_…" or "s_…"
	RunnerName string
	ShortToken string // of the runner entry
	GitLabURL  string

	// Lease shows other managers of the runner that this one lives; nil: there are
	// none.
	Lease *lease.Keeper
	// Claims are those of the whole process; nil: this executor is its only one.
	Claims *Claims
}

// Defaults of Config, and bounds that no key changes.
const (
	defaultPollTimeout        = 3 * time.Minute
	defaultCleanupGracePeriod = time.Second
	defaultKeepFailedPodsMax  = 10

	// keepLook is how often the pods that are kept are looked at.
	keepLook = 10 * time.Second

	// pullBudget is how long the kubelet may retry an image pull that fails
	// for a reason that can go away.
	pullBudget = time.Minute

	// cancelPatience is how long a helper may take to answer a cancel.
	cancelPatience = 5 * time.Second

	// buildEndPatience is how long an open log stream may bring nothing after
	// the build container ended, twice: the second time through a new stream.
	buildEndPatience = 5 * time.Second

	// helperStays is how long a helper waits behind its result to be asked for
	// frames again, or for its pod's end: GitLab fails a job that it has not heard
	// of for so long. Where the build container of a failed job stays as well, only
	// the helper's end shows that the job is over, when its log does not.
	helperStays     = time.Hour
	helperStaysKept = time.Minute

	// deletePatience is how long a pod may outlive its deletion's grace period.
	deletePatience = 30 * time.Second

	// silencePatience is how long an open log stream may bring nothing after
	// its helper ended, twice as well.
	silencePatience = 15 * time.Second

	// slowPull is how long a pull may take before the job's log mentions it.
	slowPull = 3 * time.Second

	// removeTimeout bounds Remove.
	removeTimeout = 2 * time.Minute

	// deadlineSlack is what activeDeadlineSeconds has over the job's timeout
	// and PollTimeout; the helper keeps the timeout, this is the backstop.
	deadlineSlack = time.Minute
)
