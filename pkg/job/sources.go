package job

import (
	"net/url"
	"strings"
)

// sources turns git_info and the user's GIT_* settings into what the helper
// does to get the project directory.
func sources(j *Job, o Options, s *settings, strategy string, hooks []Hook) (Sources, error) {
	submodules, err := submodules(j, s)
	if err != nil {
		return Sources{}, err
	}
	address, username, password, err := remote(j, o)
	if err != nil {
		return Sources{}, err
	}
	src := Sources{
		Strategy: strategy, URL: address, Username: username, Password: password,
		ObjectFormat: j.Git.ObjectFormat, Ref: j.Git.Ref, SHA: j.Git.SHA,
		Refspecs: j.Git.Refspecs, Depth: max(j.Git.Depth, 0),
		Checkout:   s.boolean("GIT_CHECKOUT", true),
		CleanFlags: s.flags("GIT_CLEAN_FLAGS", "-ffdx"),
		FetchFlags: s.flags("GIT_FETCH_EXTRA_FLAGS", "--prune --quiet"),
		SkipLFS:    s.boolean("GIT_LFS_SKIP_SMUDGE", false),
		Attempts:   s.number("GET_SOURCES_ATTEMPTS", 1, 1, 10),
		Timeout:    o.GetSourcesTimeout,
		UserAgent:  o.UserAgent, Correlation: j.CorrelationID, CA: j.TLSChain,
		ClientCert: j.TLSCert, ClientKey: j.TLSKey.Reveal(),
		Submodules: submodules,
	}
	if src.ObjectFormat == "sha1" {
		src.ObjectFormat = ""
	}
	// Hooks belong to git: strategies without git have none (GitLab Runner's
	// code; its documentation says so only for none).
	if strategy == StrategyFetch || strategy == StrategyClone {
		src.PreHooks = scripts(o.PreGetSourcesScript, hooks, "pre_get_sources_script", false)
		src.PostHooks = scripts(o.PostGetSourcesScript, hooks, "post_get_sources_script", true)
	}
	return src, nil
}

// scripts puts the operator's script and the payload's hook into order: the
// operator's is the outer one.
func scripts(operator string, hooks []Hook, name string, operatorLast bool) []string {
	var list []string
	for _, h := range hooks {
		if h.Name == name && len(h.Script) > 0 {
			list = append(list, strings.Join(h.Script, "\n"))
		}
	}
	switch {
	case operator == "":
		return list
	case operatorLast:
		return append(list, operator)
	}
	return append([]string{operator}, list...)
}

func submodules(j *Job, s *settings) (Submodules, error) {
	strategy := Value(s.vars, "GIT_SUBMODULE_STRATEGY")
	switch strategy {
	case "", "none":
		return Submodules{}, nil
	case "normal", "recursive":
	default:
		return Submodules{}, Failf(RunnerConfigurationError,
			"unknown GIT_SUBMODULE_STRATEGY %q: use none, normal or recursive", strategy)
	}
	return Submodules{
		Strategy:    strategy,
		Depth:       s.number("GIT_SUBMODULE_DEPTH", max(j.Git.Depth, 0), 0, 1<<30),
		Paths:       strings.Fields(Value(s.vars, "GIT_SUBMODULE_PATHS")),
		UpdateFlags: strings.Fields(Value(s.vars, "GIT_SUBMODULE_UPDATE_FLAGS")),
		ForceHTTPS:  s.boolean("GIT_SUBMODULE_FORCE_HTTPS", false),
	}, nil
}

// remote splits the clone URL into an address without credentials and the
// credentials. The operator's clone_url replaces scheme, host and prefix.
func remote(j *Job, o Options) (address, username, password string, err error) {
	u, err := url.Parse(j.Git.RepoURL)
	if err != nil {
		// The parser's message would show the URL, and with it the token.
		return "", "", "", Failf(RunnerSystemFailure, "GitLab sent a repo_url that is no URL")
	}
	username = u.User.Username()
	password, _ = u.User.Password()
	u.User = nil
	if o.CloneURL != "" {
		base, err := url.Parse(strings.TrimRight(o.CloneURL, "/"))
		if err != nil {
			return "", "", "", Failf(RunnerConfigurationError, "clone_url %q is no URL: correct it in the runner's config", o.CloneURL)
		}
		username, password = "gitlab-ci-token", j.Token.Reveal()
		if base.Scheme == "ssh" {
			username, password = "", ""
		}
		base.Path += "/" + j.ProjectPath + ".git"
		u = base
	}
	return u.String(), username, password, nil
}
