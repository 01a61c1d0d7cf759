package job

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are what the operator's config and the daemon contribute to a plan.
type Options struct {
	Product  string // "runnerd"
	Version  string
	Revision string
	HostName string // of the daemon
	Platform string // "<os>/<arch>" of the job's machine

	RunnerName string
	RunnerID   int64 // GitLab's; 0 means that the config does not say
	ShortToken string
	Executor   string // "kubernetes" or "local"
	UserAgent  string // git's, "<name> <version> <os>/<arch>"

	ConcurrentID        int
	ConcurrentProjectID int

	BuildsDir        string // absolute
	SharedBuildsDir  bool   // several jobs see the same builds directory
	DefaultImage     string
	Services         []Service  // every job gets them, behind its own
	Environment      []Variable // the runner entry's environment, in order
	FeatureFlags     map[string]bool
	OutputLimit      int64  // bytes; 0 means no limit
	CacheCompression string // fastest or default; empty means fastest
	CacheCA          string // PEM, for the store of caches; empty means the system's
	CloneURL         string
	Proxy            Proxy    // of jobs, as the operator writes it
	Hosts            []string // of GitLab and the store of caches, which may be reached without the proxy
	APIURL           string   // of GitLab, as jobs reach it, with a slash at its end; for artifacts

	ArtifactUploadTimeout, ArtifactResponseTimeout time.Duration

	PreGetSourcesScript, PostGetSourcesScript string
	PreBuildScript, PostBuildScript           string

	GetSourcesTimeout  time.Duration
	DebugTraceDisabled bool

	secrets []Variable // resolved; see WithSecrets
}

// Compile turns a job into a plan. The job is not changed.
//
// A *Failure (by errors.As) says that the job cannot run as it is: GitLab sent
// something that runnerd does not support, or a setting is impossible. Settings
// that are merely wrong fall back to their default, with a warning for the log.
func Compile(j *Job, o Options) (*Plan, error) {
	flags, warnings := resolveFlags(j.Variables, o.FeatureFlags)
	j, err := interpolate(j, flags)
	if err != nil {
		return nil, err
	}
	if err := unsupported(j); err != nil {
		return nil, err
	}

	// The folders depend on two settings that may themselves refer to
	// variables, so these are read before the final expansion.
	builds := Variable{Key: "CI_BUILDS_DIR", Value: o.BuildsDir}
	early := expandAll(slices.Concat([]Variable{builds}, o.Environment, j.Variables), "")
	s := &settings{vars: early}
	strategy := s.choice("GIT_STRATEGY", defaultStrategy(j), StrategyFetch, StrategyClone, StrategyNone, StrategyEmpty)
	warnings = append(warnings, s.warnings...)
	dirs, err := layout(j, o, strategy, early)
	if err != nil {
		return nil, err
	}

	unexpanded := variables(j, o, flags, dirs)
	vars := expandAll(unexpanded, dirs.temp)
	s = &settings{vars: vars}
	src, err := sources(j, o, s, strategy, j.Hooks)
	if err != nil {
		return nil, err
	}
	image, err := image(j, o, vars, dirs.temp)
	if err != nil {
		return nil, err
	}
	secrets, err := secretRequests(j, vars, dirs.temp)
	if err != nil {
		return nil, err
	}
	debug, debugServices := s.debug("CI_DEBUG_TRACE", o), s.debug("CI_DEBUG_SERVICES", o)
	services := services(slices.Concat(j.Services, o.Services), vars, dirs.temp)
	proxy := o.Proxy.withDirect(services, o.Hosts)
	vars = slices.Concat(proxy.variables(vars), vars)
	checks, unusable := serviceChecks(services)
	logins, loginWarnings, err := pullCredentials(vars, j.Credentials)
	if err != nil {
		return nil, err
	}
	log := logOptions(j, o, flags, vars, append(loginMasks(logins), proxy.secrets()...)...)
	helperSteps, buildSteps := steps(j, o, s, dirs.temp)
	secretAttempts := s.number("SECRETS_RETRIEVAL_ATTEMPTS", 1, 1, 10)
	cachePlans, cacheRequests := caches(j, o, s, flags, dirs.temp)
	artifactPlans, err := artifacts(j, s)
	if err != nil {
		return nil, err
	}
	meter := meterInterval(s)
	statement := provenance(j, o, s, artifactPlans)
	dependencyPlans := dependencies(j)
	var server GitLabPlan
	if len(artifactPlans)+len(dependencyPlans) > 0 {
		server = gitLab(j, o, s, flags)
	}
	envFile := path.Join(dirs.temp, "gitlab_runner_env")
	mustSucceed := !s.boolean("AFTER_SCRIPT_IGNORE_ERRORS", true)
	warnings = slices.Concat(warnings, s.warnings, unusable, notHonoured(vars))

	return &Plan{
		JobID: j.ID, ProjectID: j.ProjectID, ProjectPath: j.ProjectPath, JobName: j.Name,
		JobURL: Value(vars, "CI_JOB_URL"), Ref: j.Git.Ref, SHA: j.Git.SHA, BeforeSHA: j.Git.BeforeSHA,
		Namespace: namespace(j), Timeout: j.Timeout,
		ConcurrentID: o.ConcurrentID, ConcurrentProjectID: o.ConcurrentProjectID,
		Image: image, Services: services, Credentials: logins, Warnings: loginWarnings,
		Overwrites: overwrites(vars, services), Caches: cacheRequests,
		Secrets: secrets, SecretAttempts: secretAttempts, SecretsMayBeMissing: !flags[flagSecrets],
		Environment: podEnvironment(vars), Log: log, Debug: debug || debugServices, DebugServices: debugServices,
		Helper: HelperPlan{
			Version: PlanVersion, JobID: j.ID, Timeout: j.Timeout, Started: time.Now(), Log: log,
			BuildsDir: o.BuildsDir, ProjectDir: dirs.project, TempDir: dirs.temp, HostName: o.HostName,
			Variables: vars, Sources: src, Caches: cachePlans, Services: checks, CacheCA: o.CacheCA, Steps: helperSteps, Warnings: warnings,
			Proxy: proxy.orNone(), GitLab: server, Artifacts: artifactPlans, Provenance: statement, Meter: meter, Dependencies: dependencyPlans,
			AfterScriptMustSucceed: mustSucceed, Entrypoint: flags[flagEntrypoint],
		},
		Build: BuildPlan{
			Version: PlanVersion, ProjectDir: dirs.project, TempDir: dirs.temp, EnvFile: envFile,
			Variables: withFilePaths(vars, dirs.temp), Debug: debug,
			Sections: flags[flagSections] && j.Features.TraceSections, Steps: buildSteps,
		},
	}, nil
}

// LogOptionsOf returns how the log of a job looks that cannot be compiled.
func LogOptionsOf(j *Job, o Options) LogOptions {
	flags, _ := resolveFlags(j.Variables, o.FeatureFlags)
	return logOptions(j, o, flags, expandAll(j.Variables, ""))
}

func logOptions(j *Job, o Options, flags map[string]bool, vars []Variable, more ...Secret) LogOptions {
	return LogOptions{
		Timestamps: flags[flagTimestamps], Sections: j.Features.TraceSections, LimitBytes: o.OutputLimit,
		Masks: masks(vars, append(credentials(j), more...)...), MaskPrefixes: maskPrefixes(j, flags),
	}
}

func defaultStrategy(j *Job) string {
	if j.AllowGitFetch {
		return StrategyFetch
	}
	return StrategyClone
}

// variables lists every variable of the job, unexpanded, in GitLab Runner's
// order: later entries win.
func variables(j *Job, o Options, flags map[string]bool, d dirs) []Variable {
	internal := func(key, value string) Variable { return Variable{Key: key, Value: value, Public: true} }
	vars := flagVariables(flags)
	if j.Image.Name != "" {
		vars = append(vars, internal("CI_JOB_IMAGE", j.Image.Name))
	}
	vars = append(vars, internal("CI_RUNNER_SHORT_TOKEN", o.ShortToken))
	vars = append(vars, o.Environment...)
	vars = append(vars,
		internal("CI_BUILDS_DIR", o.BuildsDir),
		internal("CI_PROJECT_DIR", d.project),
		internal("CI_CONCURRENT_ID", strconv.Itoa(o.ConcurrentID)),
		internal("CI_CONCURRENT_PROJECT_ID", strconv.Itoa(o.ConcurrentProjectID)),
		internal("CI_SERVER", "yes"),
		internal("CI_JOB_STATUS", "running"),
		internal("CI_JOB_TIMEOUT", strconv.Itoa(int(j.Timeout.Seconds()))),
	)
	if j.TLSChain != "" {
		vars = append(vars, Variable{Key: "CI_SERVER_TLS_CA_FILE", Value: j.TLSChain, Public: true, Raw: true, File: true})
	}
	if j.TLSCert != "" {
		vars = append(vars,
			Variable{Key: "CI_SERVER_TLS_CERT_FILE", Value: j.TLSCert, Public: true, Raw: true, File: true},
			Variable{Key: "CI_SERVER_TLS_KEY_FILE", Value: j.TLSKey.Reveal(), Raw: true, File: true},
		)
	}
	for _, v := range j.Variables {
		if !isFeatureFlag(v.Key) {
			vars = append(vars, v)
		}
	}
	environment := "CI_DISPOSABLE_ENVIRONMENT"
	if o.Executor == "local" {
		environment = "CI_SHARED_ENVIRONMENT"
	}
	vars = append(vars,
		internal(environment, "true"),
		internal("CI_RUNNER_VERSION", o.Version),
		internal("CI_RUNNER_REVISION", o.Revision),
		internal("CI_RUNNER_EXECUTABLE_ARCH", o.Platform),
	)
	vars = append(vars, o.secrets...)
	return append(vars, internal("RUNNER_TEMP_PROJECT_DIR", d.temp))
}

func image(j *Job, o Options, vars []Variable, tempDir string) (Image, error) {
	image := j.Image
	image.Name = strings.TrimSpace(Expand(image.Name, vars, tempDir))
	if image.Name == "" {
		image.Name = Expand(o.DefaultImage, vars, tempDir)
	}
	if image.Name == "" && o.Executor != "local" {
		return Image{}, Failf(RunnerConfigurationError,
			"the job names no image and the runner has no default: add image: to the job, or image to [runners.kubernetes]")
	}
	image.PullPolicies = expandEach(image.PullPolicies, vars, tempDir)
	image.User = Expand(image.User, vars, tempDir)
	return image, nil
}

// debug reads one of the switches that make a log show more than its readers
// may see.
func (s *settings) debug(key string, o Options) bool {
	on := s.boolean(key, false)
	if on && o.DebugTraceDisabled {
		s.warnings = append(s.warnings, key+" is switched off by the runner's config (debug_trace_disabled)")
		return false
	}
	return on
}

func services(from []Service, vars []Variable, tempDir string) []Service {
	var list []Service
	for _, s := range from {
		// What a variable may choose is not the operator's choice.
		s.Configured = s.Configured && !strings.Contains(s.Name, "$")
		s.Name = strings.TrimSpace(Expand(s.Name, vars, tempDir))
		// One variable may hold several names.
		s.Aliases = strings.FieldsFunc(Expand(strings.Join(s.Aliases, " "), vars, tempDir), isAliasSeparator)
		s.PullPolicies = expandEach(s.PullPolicies, vars, tempDir)
		own := make([]Variable, len(s.Variables))
		scope := slices.Concat(vars, s.Variables)
		for i, v := range s.Variables {
			if !v.Raw {
				v.Value = Expand(v.Value, scope, tempDir)
			}
			own[i] = v
		}
		s.Variables = own
		list = append(list, s)
	}
	return list
}

func isAliasSeparator(r rune) bool { return r == ' ' || r == ',' }

func expandEach(list []string, vars []Variable, tempDir string) []string {
	out := make([]string, 0, len(list))
	for _, text := range list {
		out = append(out, Expand(text, vars, tempDir))
	}
	return out
}

// withFilePaths gives file variables the path of their file as value: this is
// what scripts see.
func withFilePaths(vars []Variable, tempDir string) []Variable {
	out := slices.Clone(vars)
	for i := range out {
		if out[i].File {
			out[i].Value = path.Join(tempDir, out[i].Key)
		}
	}
	return out
}

// maxPodValue keeps a long variable out of the pod spec, where it would count
// against the size of the object; scripts get it all the same.
const maxPodValue = 4 << 10

// podEnvironment picks what may stand in the pod spec, which everybody who can
// read pods can read.
func podEnvironment(vars []Variable) []Variable {
	var out []Variable
	for _, v := range vars {
		if v.Public && !v.Masked && !v.File && len(v.Value) <= maxPodValue && !strings.HasPrefix(v.Key, "FF_") {
			out = append(out, v)
		}
	}
	return out
}

func namespace(j *Job) Namespace {
	n := Namespace{ID: j.NamespaceID, RootID: j.RootNamespaceID}
	if i := strings.LastIndex(j.ProjectPath, "/"); i >= 0 {
		n.Path = j.ProjectPath[:i]
	}
	n.Root, _, _ = strings.Cut(n.Path, "/")
	return n
}

func credentials(j *Job) []Secret {
	secrets := []Secret{j.Token, j.TLSKey}
	for _, c := range j.Credentials {
		secrets = append(secrets, c.Password)
	}
	for _, d := range j.Dependencies {
		secrets = append(secrets, d.Token)
	}
	return secrets
}

// TokenPrefixes are the prefixes of GitLab's own tokens; what follows one of
// them is masked in every log.
var TokenPrefixes = []string{
	"glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glrtr-", "glptt-", "glft-", "glimt-", "glagent-",
	"glsoat-", "glffct-", "_gitlab_session=", "gltok-",
}

// maskPrefixes are at most 15, the shortest first, as GitLab Runner does it.
func maskPrefixes(j *Job, flags map[string]bool) []string {
	unique := map[string]bool{"glpat-": true}
	if flags[flagMaskTokens] {
		for _, p := range TokenPrefixes {
			unique[p] = true
		}
	}
	for _, p := range j.Features.TokenMaskPrefixes {
		if p != "" {
			unique[p] = true
		}
	}
	list := slices.SortedFunc(maps.Keys(unique), func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return list[:min(len(list), 15)]
}
