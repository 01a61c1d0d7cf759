package agent

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// passed are the variables that reach git from the container and from the
// job. Others stay outside: many of git's own name programs to run.
var passed = []string{
	"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "TMPDIR",
	"GIT_SSL_NO_VERIFY", "GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME",
}

// traces are passed when they only switch tracing on: their value may also be
// the name of a file to write.
var traces = []string{"GIT_TRACE", "GIT_CURL_VERBOSE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE_PERFORMANCE", "GIT_TRACE_SETUP"}

// gitEnv is the environment of every git that the helper runs.
func gitEnv(config, home string, vars []job.Variable) []string {
	env := newEnviron(nil)
	take := func(key, value string) {
		switch {
		case slices.Contains(passed, key):
			env.set(key, value)
		case slices.Contains(traces, key) && (value == "1" || value == "2" || strings.EqualFold(value, "true")):
			env.set(key, value)
		}
	}
	for _, line := range os.Environ() {
		key, value, _ := strings.Cut(line, "=")
		take(key, value)
	}
	for _, v := range vars {
		if !v.File {
			take(v.Key, v.Value)
		}
	}
	env.set("PATH", gitDirs)
	env.set("HOME", home)
	env.set("LC_ALL", "C.UTF-8") // hint understands English
	env.set("GIT_CONFIG_GLOBAL", config)
	env.set("GIT_CONFIG_NOSYSTEM", "1")
	env.set("GIT_TERMINAL_PROMPT", "0")
	env.set("GCM_INTERACTIVE", "Never")
	env.set("GIT_LFS_SKIP_SMUDGE", "1")
	list, _, _ := env.split()
	return list
}

// run runs git in dir.
func (c *checkout) run(ctx context.Context, dir string, args ...string) error {
	seen := &lastBytes{}
	code, err := c.execute(ctx, &exec.Cmd{Path: c.git, Args: append([]string{"git"}, args...), Dir: dir, Env: c.env}, seen)
	if err != nil {
		return err
	}
	if code == 0 {
		return nil
	}
	i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") && !strings.Contains(a, "=") })
	failure := exitFailure("git "+args[max(i, 0)], code)
	if hint := c.hint(seen.String()); hint != "" {
		failure.Message += ": " + hint
	}
	return failure
}

// hint says what git's words mean for the job's author.
func (c *checkout) hint(output string) string {
	contains := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(output, p) })
	}
	switch {
	case contains("Authentication failed", "could not read Username", "could not read Password", "HTTP 401", "HTTP 403", "error: 403"):
		return "the server refuses the job's credentials for this repository"
	case contains("Could not resolve host", "Failed to connect", "Connection refused", "Connection timed out"):
		return "the server of " + c.URL + " cannot be reached"
	case contains("not our ref", "reference is not a tree", "unable to read tree", "Could not find remote ref", "couldn't find remote ref"):
		return "the commit or ref is not there (deleted, or overwritten by a force push?)"
	case contains("certificate required", "TLS fatal alert"): // what OpenSSL and GnuTLS say
		return "the server refuses the TLS connection; if it wants a client certificate, give the runner one (tls-cert-file, tls-key-file)"
	case contains("certificate"):
		return "the server's certificate is not trusted"
	case contains("No space left on device"):
		return "the builds volume is full"
	}
	return ""
}

// execute runs cmd and writes what it prints to the log, and to seen if that
// is set. When ctx ends the process is ended, and the error is ctx's cause.
func (h *helper) execute(ctx context.Context, cmd *exec.Cmd, seen *lastBytes) (code int, err error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	out, err := newCapture(seen.with(h.log))
	if err != nil {
		return 0, err
	}
	cmd.Stdout, cmd.Stderr = out.write, out.write
	started, err := h.procs.start(cmd)
	out.started()
	if err != nil {
		_ = out.release()
		return 0, err
	}
	go out.Run() // end waits for it
	select {
	case <-started.done:
	case <-ctx.Done():
		started.stop(stopGrace, h.aborted)
	}
	err = out.end()
	_ = out.release()
	if flushed := h.log.Flush(); err == nil {
		err = flushed
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return started.exitCode(), err
}
