package config

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// validate reports what makes no sense, in the values as the file has them.
func (c *Config) validate(r *report) {
	if c.Concurrent < 1 {
		r.problem("concurrent", "%d; write how many jobs may run at the same time, at least 1", c.Concurrent)
	}
	if c.ConcurrentTotal < 0 {
		r.problem("concurrent_total", "%d; write how many jobs all replicas may run together, or 0 for any number", c.ConcurrentTotal)
	}
	oneOf(r, "log_level", c.LogLevel, "panic", "fatal", "error", "warning", "info", "debug")
	oneOf(r, "log_format", c.LogFormat, "runner", "text", "json")
	if c.ListenAddress != "" {
		if _, _, err := net.SplitHostPort(withPort(c.ListenAddress, defaultMetricsPort)); err != nil {
			r.problem("listen_address", "%q is no address; write host:port, such as \":9252\"", c.ListenAddress)
		}
	}
	atLeast(r, "shutdown_timeout", int64(c.ShutdownTimeout), 0)
	validateLabels(r, "labels", c.Labels)
	c.Tracing.validate(r)
	if len(c.Runners) == 0 {
		r.warn("", "no [[runners]] entry; there is nothing to run until runnerd register has added one")
	}
	for i := range c.Runners {
		c.Runners[i].validate(r, elementPath("runners", i))
	}
}

func (r *Runner) validate(rep *report, at string) {
	validateURL(rep, at+".url", r.URL)
	if r.Token == "" && r.TokenFile == "" {
		rep.problem(at+".token", "missing; write the runner authentication token (glrt-…), or add the runner with runnerd register")
	}
	r.validateExecutor(rep, at)
	if r.CloneURL != "" {
		validateURL(rep, at+".clone_url", r.CloneURL)
	}
	if (r.TLSCertFile == "") != (r.TLSKeyFile == "") {
		rep.problem(at+".tls-cert-file", "tls-cert-file and tls-key-file belong together; write both or neither")
	}
	atLeast(rep, at+".limit", int64(r.Limit), 0)
	atLeast(rep, at+".project_limit", int64(r.ProjectLimit), 0)
	oneOf(rep, at+".two_phase", r.TwoPhase, TwoPhaseOff, TwoPhaseAuto)
	if r.TwoPhase == TwoPhaseAuto && r.Executor == ExecutorLocal {
		rep.warn(at+".two_phase", "has no effect with executor = %q: its jobs begin at once", ExecutorLocal)
	}
	atLeast(rep, at+".request_concurrency", int64(r.RequestConcurrency), 0)
	if r.BuildsDir != "" && !path.IsAbs(r.BuildsDir) {
		rep.problem(at+".builds_dir", "%q is no absolute path; write one such as \"/builds\"", r.BuildsDir)
	}
	validateEnvironment(rep, at+".environment", r.Environment)
	validateLabels(rep, at+".labels", r.Labels)
	validateFlags(rep, at+".feature_flags", r.FeatureFlags)
	if r.Executor == ExecutorKubernetes {
		r.Kubernetes.validate(rep, at+".kubernetes")
		r.Kubernetes.Volumes.validate(rep, at+".kubernetes.volumes", r.BuildsDir)
	}
	r.Cache.validate(rep, at+".cache")
	r.Secrets.validate(rep, at+".secrets")
	r.Policy.validate(rep, at+".policy", r.Executor)
	if (r.Policy.PinImages || len(r.Policy.Signatures) > 0) && len(r.Kubernetes.AllowedImages) == 0 {
		rep.warn(at+".policy", "pin_images and signatures make runnerd connect to any registry that a job names; write allowed_images to bound that")
	}
}

func (r *Runner) validateExecutor(rep *report, at string) {
	switch r.Executor {
	case ExecutorKubernetes, ExecutorLocal:
	case "":
		rep.problem(at+".executor", `missing; write executor = "kubernetes"`)
	default:
		rep.problem(at+".executor", `%q; runnerd runs jobs on "kubernetes" (or on "local", this host, to try it out)`, r.Executor)
	}
}

func validateURL(r *report, at, text string) {
	if reference.MatchString(text) { // reported by expand
		return
	}
	const want = `write GitLab's address, such as "https://gitlab.example.com"`
	u, err := url.Parse(text)
	switch {
	case text == "":
		r.problem(at, "missing; %s", want)
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		r.problem(at, "%q is no http or https address; %s", redacted(text), want)
	case u.User != nil:
		r.problem(at, "%q holds a user name or password; take it out, the token is enough", u.Redacted())
	}
}

// redacted keeps a password out of a message about an address that is wrong.
func redacted(text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return "…" + text[i:]
	}
	return text
}

func validateEnvironment(r *report, at string, list []string) {
	for i, entry := range list {
		if key, _, ok := strings.Cut(entry, "="); !ok || key == "" {
			r.problem(elementPath(at, i), `no variable; write "KEY=VALUE"`)
		}
	}
}

var (
	labelKey   = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{2,64}$`)
	labelValue = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,256}$`)
)

const maxLabels = 32

// validateLabels checks labels of a runner, which go to GitLab.
func validateLabels(r *report, at string, labels map[string]string) {
	if len(labels) > maxLabels {
		r.problem(at, "%d labels; GitLab takes %d at most", len(labels), maxLabels)
	}
	for key, value := range labels {
		if !labelKey.MatchString(key) {
			r.problem(joinPath(at, key), "GitLab does not take this name; use 3 to 65 letters, digits, '.', '_' or '-', and start with a letter, a digit or '_'")
		}
		if !labelValue.MatchString(value) {
			r.problem(joinPath(at, key), "GitLab does not take the value %q; use 1 to 256 letters, digits, '.', '_' or '-'", value)
		}
	}
}

// validateFlags warns only: flags come and go with GitLab Runner's versions,
// and files outlive them.
func validateFlags(r *report, at string, flags map[string]bool) {
	for name, value := range flags {
		flag, known := job.LookupFeatureFlag(name)
		switch {
		case !known:
			hint := "take it out"
			if s := nearest(name, job.FeatureFlagNames()); s != "" {
				hint = "did you mean " + strconv.Quote(s) + "?"
			}
			r.warn(joinPath(at, name), "no feature flag that runnerd knows; %s", hint)
		case !flag.Acts && value != flag.Default:
			r.warn(joinPath(at, name), "GitLab Runner's flag has no effect here: runnerd has one way of doing what it chooses; scripts still see it as a variable")
		}
	}
}

// oneOf accepts "" too: the default.
func oneOf(r *report, at, value string, allowed ...string) {
	if value == "" || slices.Contains(allowed, value) {
		return
	}
	if s := nearest(value, allowed); s != "" {
		r.problem(at, "%q; did you mean %q?", value, s)
		return
	}
	r.problem(at, "%q; write one of %s", value, strings.Join(allowed, ", "))
}

func atLeast(r *report, at string, value, least int64) {
	if value < least {
		r.problem(at, "%d is too small; write %d or more", value, least)
	}
}

// withPort adds a port to an address that has none; "" stays "".
func withPort(address, port string) string {
	if address == "" || strings.Contains(address[strings.LastIndexByte(address, ']')+1:], ":") {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}
