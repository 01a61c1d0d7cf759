package config

import (
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Config is a whole config.toml, complete with defaults and found valid.
type Config struct {
	Concurrent       int               `toml:"concurrent"`         // jobs at the same time in this process; 1
	ConcurrentTotal  int               `toml:"concurrent_total"`   // jobs at the same time in all replicas together; 0: any number
	CheckInterval    Seconds           `toml:"check_interval"`     // between two questions for a job; 3 s
	LogLevel         string            `toml:"log_level"`          // panic, fatal, error, warning, info or debug; "info"
	LogFormat        string            `toml:"log_format"`         // runner, text or json; "runner"
	ListenAddress    string            `toml:"listen_address"`     // host:port of metrics and health; "" means off, the port is 9252 unless given
	Pprof            bool              `toml:"pprof"`              // serve Go's profiles there, too, to everybody who reaches it; false
	ShutdownTimeout  Seconds           `toml:"shutdown_timeout"`   // how long a forced end of the process may take; 30 s, also for 0
	ConnectionMaxAge Duration          `toml:"connection_max_age"` // after which TLS connections are opened anew; 15m, 0 or less means never
	Labels           map[string]string `toml:"labels"`             // labels of every runner
	Tracing          Tracing           `toml:"tracing"`
	Runners          []Runner          `toml:"runners"`
}

// A Runner is one [[runners]] entry: one registration at one GitLab.
type Runner struct {
	Name            string     `toml:"name"`              // in log lines and metrics
	URL             string     `toml:"url"`               // of GitLab; ${NAME} stands for an environment variable
	ID              int64      `toml:"id"`                // GitLab's number of the runner; register writes it
	Token           job.Secret `toml:"token"`             // runner authentication token; ${NAME} as in url
	TokenFile       string     `toml:"token_file"`        // or the file that holds it, such as a mounted Secret; read anew when it changes
	TokenObtainedAt time.Time  `toml:"token_obtained_at"` // register writes it, and who renews the token
	TokenExpiresAt  time.Time  `toml:"token_expires_at"`  // zero: the token does not expire
	TLSCAFile       string     `toml:"tls-ca-file"`       // PEM; "" means certs/<host>.crt beside the file, or the system's
	TLSCertFile     string     `toml:"tls-cert-file"`     // PEM; the certificate that is shown to GitLab, where it wants one
	TLSKeyFile      string     `toml:"tls-key-file"`      // PEM; its key

	Executor            string   `toml:"executor"`              // kubernetes: each job is a pod; local: processes on this host, to try runnerd out
	Limit               int      `toml:"limit"`                 // jobs of this entry; 0 means as many as concurrent
	RequestConcurrency  int      `toml:"request_concurrency"`   // job requests at the same time; 1
	ProjectLimit        int      `toml:"project_limit"`         // running jobs of one project; 0 means no limit
	TwoPhase            string   `toml:"two_phase"`             // off, or auto: GitLab keeps a job pending until it is placed, where it can
	StrictCheckInterval bool     `toml:"strict_check_interval"` // wait for check_interval after a job as well
	BuildsDir           string   `toml:"builds_dir"`            // absolute path in the pod; "/builds"
	CloneURL            string   `toml:"clone_url"`             // replaces scheme, host and path prefix of the clone URL
	Environment         []string `toml:"environment"`           // KEY=VALUE, variables of every job
	OutputLimitKiB      int      `toml:"output_limit"`          // KiB of a job's log; 4096

	UnhealthyRequestsLimit int      `toml:"unhealthy_requests_limit"`            // failed job requests in a row until a pause; 3
	UnhealthyInterval      Duration `toml:"unhealthy_interval"`                  // the pause; 60m
	FinalUpdateRetryLimit  int      `toml:"job_status_final_update_retry_limit"` // tries to report a job's end; 10
	FinalUpdateTimeout     Duration `toml:"job_status_final_update_timeout"`     // how long GitLab may be away until a job's result is given up; 24h

	PreGetSourcesScript  string   `toml:"pre_get_sources_script"`  // runs before the sources are fetched, before the job's own hook
	PostGetSourcesScript string   `toml:"post_get_sources_script"` // runs when the sources are there, behind the job's own hook
	PreBuildScript       string   `toml:"pre_build_script"`        // runs in front of each script of a job, in the same shell
	PostBuildScript      string   `toml:"post_build_script"`       // runs behind each script of a job, in the same shell
	PrepareTimeout       Duration `toml:"prepare_timeout"`         // until the job's containers run; 0 means the job's timeout
	GetSourcesTimeout    Duration `toml:"get_sources_timeout"`     // of the clone with its retries; 0 means the job's timeout
	DebugTraceDisabled   bool     `toml:"debug_trace_disabled"`    // refuse CI_DEBUG_TRACE and CI_DEBUG_SERVICES

	Labels       map[string]string `toml:"labels"`        // shown in GitLab; they beat those of the whole file
	FeatureFlags map[string]bool   `toml:"feature_flags"` // FF_… variables; they beat the job's own
	Kubernetes   Kubernetes        `toml:"kubernetes"`
	Artifact     Artifact          `toml:"artifact"`
	Cache        Cache             `toml:"cache"`
	Secrets      Secrets           `toml:"secrets"`
	Policy       Policy            `toml:"policy"`
}

// Artifact bounds the upload of one artifact to GitLab.
type Artifact struct {
	UploadTimeout         Duration `toml:"upload_timeout"`          // of one try, from its first byte to GitLab's answer; 1h
	ResponseHeaderTimeout Duration `toml:"response_header_timeout"` // until GitLab answers, once it has all; 10m
}

// Whether jobs are accepted in two phases.
const (
	TwoPhaseOff  = "off"
	TwoPhaseAuto = "auto"
)

// The executors.
const (
	ExecutorKubernetes = "kubernetes" // each job is a pod
	ExecutorLocal      = "local"      // each job is a pair of processes on this host, to try runnerd out
)
