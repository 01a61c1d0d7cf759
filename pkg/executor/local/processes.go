package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// processes are the helper and the build of one job.
type processes struct {
	helper, build *exec.Cmd
	helperErr     tail
	frames        io.Reader // the helper's stdout
	pipe          *os.File
}

// start starts both. Their environment is this process's PATH and little more:
// what a job knows, it knows from its plan.
func start(agent string, dir folder) (*processes, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close() // the helper holds its own
	p := &processes{frames: out, pipe: out}

	p.helper = command(agent, dir, "helper", "--plan", filepath.Join(dir.plan(), job.HelperPlanFile),
		"--share", dir.share(), "--control", dir.control())
	p.helper.Stdout, p.helper.Stderr = in, &p.helperErr
	if err := p.helper.Start(); err != nil {
		out.Close()
		return nil, err
	}
	p.build = command(agent, dir, "build", "--plan", filepath.Join(dir.plan(), job.BuildPlanFile), "--share", dir.share())
	if err := p.build.Start(); err != nil {
		p.build = nil
		p.stop()
		return nil, err
	}
	return p, nil
}

func command(agent string, dir folder, args ...string) *exec.Cmd {
	// Not ended by a context: stop does that, politely at first.
	c := exec.CommandContext(context.Background(), agent, args...)
	c.Dir = dir.root
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir.home(), "LANG=C.UTF-8",
		"RUNNERD_TERMINATION_LOG=" + filepath.Join(dir.root, "termination-log"),
	}
	c.SysProcAttr = ownGroup()
	c.WaitDelay = time.Second
	return c
}

// wait waits for both to end by themselves, as they do behind the last frame,
// and returns what the helper had to say on its way out.
func (p *processes) wait() error {
	err := waitFor(p.helper)
	_ = waitFor(p.build) // what went wrong there the helper has heard and told
	p.pipe.Close()
	if text := p.helperErr.String(); text != "" {
		return errors.Join(err, fmt.Errorf("it said: %s", text))
	}
	return err
}

// stop ends both, politely at first. How they end does not matter any more.
func (p *processes) stop() {
	for _, c := range []*exec.Cmd{p.build, p.helper} {
		if c != nil {
			_ = c.Process.Signal(syscall.SIGTERM)
		}
	}
	_ = waitFor(p.build)
	_ = waitFor(p.helper)
	p.pipe.Close()
}

// waitFor waits for c to end, and kills its process group when it does not
// within the grace period.
func waitFor(c *exec.Cmd) error {
	if c == nil {
		return nil
	}
	killer := time.AfterFunc(executor.GracePeriod, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	defer killer.Stop()
	return c.Wait()
}

// tail keeps the last bytes that were written to it.
type tail struct{ kept []byte }

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(bytes.TrimSpace(t.kept)) }
