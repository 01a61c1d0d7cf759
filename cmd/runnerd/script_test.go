package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/internal/standin"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"runnerd": main})
}

// agentBinary is the agent for jobs of the local executor. It lies beside the
// runnerd that tests find in their PATH.
var agentBinary string

type suite struct{ *testing.M }

// Run builds the agent, runs the tests, and looks for goroutines left behind.
func (s suite) Run() int {
	if err := buildAgent(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailure
	}
	code := s.M.Run()
	if code == exitOK {
		// klog flushes its log for as long as the process lives.
		if err := goleak.Find(goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitFailure
		}
	}
	return code
}

func buildAgent() error {
	self, err := exec.LookPath("runnerd")
	if err != nil {
		return err
	}
	agentBinary = filepath.Join(filepath.Dir(self), "runnerd-agent")
	build := exec.Command("go", "build", "-o", agentBinary, "github.com/runnerd/runnerd/cmd/runnerd-agent")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w: %s", err, out)
	}
	return nil
}

// The scripts in testdata drive the program. Each has a GitLab of its own:
//
//	$GITLAB_URL        its address
//	$RUNNER_TOKEN      authentication token of a runner that was created there
//	$REGISTRATION      registration token
//	delete-runner      deletes that runner
//	refuse STATUS      answers the next registration or verification so
//	forget-violations  accepts what broke GitLab's rules so far
//
// A script fails when the program breaks a rule of GitLab's API.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup:               setUpGitLab,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"delete-runner":     func(ts *testscript.TestScript, _ bool, _ []string) { gitlabOf(ts).Runners()[0].Delete() },
			"forget-violations": func(ts *testscript.TestScript, _ bool, _ []string) { gitlabOf(ts).TakeViolations() },
			"refuse":            refuse,
			"mode":              checkMode,
		},
	})
}

// serverKey finds a script's GitLab in its values.
type serverKey struct{}

func gitlabOf(ts *testscript.TestScript) *standin.Server {
	return ts.Value(serverKey{}).(*standin.Server)
}

func setUpGitLab(env *testscript.Env) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := standin.New(standin.Options{RegistrationTokens: []string{"GR1348941registration"}})
	if err := server.Start(listener); err != nil {
		return errors.Join(err, listener.Close())
	}
	runner := server.AddRunner(standin.RunnerSpec{Token: "glrt-t1_abcdefghijklmnop"})
	env.Values[serverKey{}] = server
	env.Setenv("GITLAB_URL", server.URL())
	env.Setenv("RUNNER_TOKEN", runner.Token())
	env.Setenv("REGISTRATION", "GR1348941registration")
	env.Setenv("CONFIG_FILE", "config.toml")
	t := env.T()
	env.Defer(func() {
		err := server.Close()
		for _, v := range server.Violations() {
			err = errors.Join(err, errors.New(v.String()))
		}
		if err != nil {
			t.Fatal(fmt.Sprintf("GitLab: %v", err))
		}
	})
	return nil
}

// refuse answers registrations and verifications with a status: refuse STATUS.
func refuse(ts *testscript.TestScript, _ bool, args []string) {
	var status int
	if _, err := fmt.Sscan(args[0], &status); err != nil {
		ts.Fatalf("refuse %q: %v", args[0], err)
	}
	for _, e := range []standin.Endpoint{standin.Register, standin.Verify} {
		gitlabOf(ts).Inject(standin.Fault{Endpoint: e, Status: status})
	}
}

// checkMode compares a file's permissions: mode FILE 0600.
func checkMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("mode of %s is %s, want %s", args[0], got, args[1])
	}
}
