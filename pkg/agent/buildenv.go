package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/job"
)

// buildEnviron returns the environment of a step: the container's own, what leads to
// the trusted authorities, the job's variables, and last what earlier steps left in GITLAB_ENV.
func buildEnviron(plan *job.BuildPlan, trusted []variable, status, private string) (*environ, error) {
	env := newEnviron(os.Environ())
	for _, v := range trusted {
		env.set(v.key, v.value)
	}
	home := false
	for _, v := range plan.Variables {
		env.set(v.Key, v.Value)
		home = home || v.Key == "HOME"
	}
	env.set("CI_JOB_STATUS", status)
	if plan.EnvFile != "" {
		env.set("GITLAB_ENV", plan.EnvFile)
		if err := readEnvFile(plan.EnvFile, env); err != nil {
			return nil, err
		}
	}
	if !home && !writable(env.get("HOME")) {
		dir, err := makeHome(private, plan.TempDir)
		if err != nil {
			return nil, err
		}
		env.set("HOME", dir)
	}
	gitEnviron(env, plan.ProjectDir)
	return env, nil
}

// readEnvFile reads KEY=VALUE lines. It creates the file if there is none, so
// that a script can append to it.
func readEnvFile(path string, env *environ) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrPermission) {
		file, err = os.Open(path)
	}
	if err != nil {
		return fmt.Errorf("read GITLAB_ENV: %w", err)
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadString('\n')
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			env.set(key, value)
		}
		if err != nil {
			return nil // the end of the file
		}
	}
}

// makeHome makes a home directory for a user who has none.
func makeHome(dirs ...string) (string, error) {
	var errs []error
	for _, dir := range dirs {
		home := filepath.Join(dir, "home")
		err := os.Mkdir(home, 0o700)
		if err == nil || errors.Is(err, fs.ErrExist) && writable(home) {
			return home, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("make a home directory: %w", errors.Join(errs...))
}

func writable(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir() && unix.Access(dir, unix.W_OK|unix.X_OK) == nil
}

// gitEnviron configures the git that scripts run: it may use a project
// directory of another owner, and, as under GitLab Runner, trust the GitLab
// server and reach it with the job's token. The token itself stays where it
// is, in CI_JOB_TOKEN.
func gitEnviron(env *environ, projectDir string) {
	count, err := strconv.Atoi(env.get("GIT_CONFIG_COUNT"))
	if err != nil || count < 0 {
		count = 0
	}
	add := func(key, value string) {
		n := strconv.Itoa(count)
		env.set("GIT_CONFIG_KEY_"+n, key)
		env.set("GIT_CONFIG_VALUE_"+n, value)
		count++
		env.set("GIT_CONFIG_COUNT", strconv.Itoa(count))
	}
	if info, err := os.Stat(projectDir); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
			add("safe.directory", projectDir)
		}
	}
	server := origin(env.get("CI_REPOSITORY_URL"))
	if !strings.HasPrefix(server, "http") {
		return
	}
	if file := env.get("CI_SERVER_TLS_CA_FILE"); file != "" {
		add("http."+server+".sslCAInfo", file)
	}
	if env.get("CI_JOB_TOKEN") != "" {
		add("credential."+server+".helper",
			`!f() { test "$1" != get || printf 'username=%s\npassword=%s\n' gitlab-ci-token "$CI_JOB_TOKEN"; }; f`)
	}
}
