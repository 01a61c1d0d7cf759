//go:build e2e

// Package e2e boots real clusters through the built program. It needs root and
// takes about a minute: go test -tags e2e ./e2e
package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/test/cluster/internal/cgroup"
	"github.com/runnerd/runnerd/test/cluster/internal/netns"
	"github.com/runnerd/runnerd/test/cluster/internal/procs"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/teardown"
)

// exitDown is the program's exit code for a cluster that is not up.
const exitDown = 3

// A rig drives one cluster through the built program, as people do.
type rig struct {
	t   *testing.T
	bin string
	state.Cluster
}

func newRig(t *testing.T, name string) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: booting a cluster needs root")
	}
	out, err := exec.Command("../build.sh").Output()
	if err != nil {
		t.Fatalf("build.sh: %v", err)
	}
	name = fmt.Sprintf("e2e-%s-%d", name, os.Getpid())
	c, err := state.New(name, filepath.Join(state.DefaultParent, name))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, bin: strings.TrimSpace(string(out)), Cluster: c}
	t.Cleanup(func() {
		r.cluster("down")
		os.Remove(filepath.Join(c.Cache, "cluster", name+".lock"))
	})
	return r
}

// cluster runs one command of the program and returns what it printed.
func (r *rig) cluster(args ...string) (string, error) {
	cmd := exec.Command(r.bin, args...)
	cmd.Env = append(os.Environ(), "RUNNERD_CLUSTER_NAME="+r.Name, "RUNNERD_CLUSTER_DIR="+r.Dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	r.t.Logf("%s %s (%v)\n%s", r.Name, strings.Join(args, " "), err, &out)
	return out.String(), err
}

func (r *rig) must(args ...string) string {
	r.t.Helper()
	out, err := r.cluster(args...)
	if err != nil {
		r.t.Fatalf("cluster %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// run runs a pod to its end and returns its log.
func (r *rig) run(pod, script string) string {
	r.t.Helper()
	image := "--image=" + state.Registry + "/test/busybox:1"
	r.must("kubectl", "run", pod, image, "--restart=Never", "--", "sh", "-c", script)
	r.must("kubectl", "wait", "pod/"+pod, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
	return r.must("kubectl", "logs", pod)
}

// crash kills the supervisor, or process 1 of the cluster, and waits until
// that is gone.
func (r *rig) crash(supervisor bool) {
	r.t.Helper()
	init, ok := procs.Load(teardown.InitFile(r.Cluster))
	if !ok {
		r.t.Fatal("process 1 of the cluster does not run")
	}
	victim := init
	if supervisor {
		victim = procs.ID{}
		for _, id := range procs.All() {
			if procs.Parent(id.PID) == init.PID && strings.Contains(id.Command(), " supervise ") {
				victim = id
			}
		}
		if victim.PID == 0 {
			r.t.Fatal("no supervisor found")
		}
	}
	if err := victim.Signal(syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); init.Alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal("process 1 of the cluster outlives its supervisor")
		}
	}
}

// ns is the kernel's name for the cluster's network namespace.
func (r *rig) ns() string {
	r.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(netns.Path(r.Netns()), &st); err != nil {
		r.t.Fatal(err)
	}
	return "net:[" + strconv.FormatUint(st.Ino, 10) + "]"
}

// checkGone fails the test for whatever is left of the cluster; ns and links
// are the namespace it had and the machine's interfaces before it.
func (r *rig) checkGone(ns, links string) {
	r.t.Helper()
	if traces := teardown.Traces(r.Cluster); traces != "" {
		r.t.Errorf("%s left behind: %s", r.Name, traces)
	}
	if members, err := cgroup.Members(r.Cgroup()); err != nil || len(members) > 0 {
		r.t.Errorf("%s: processes in its cgroup: %v, %v", r.Name, members, err)
	}
	for _, id := range procs.All() {
		if id.PID == os.Getpid() {
			continue
		}
		proc := func(file string) string {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", id.PID, file))
			return string(b)
		}
		if strings.Contains(id.Command(), r.Name) || strings.Contains(proc("cgroup"), r.Cgroup()) || procs.Namespace(id.PID, "net") == ns {
			r.t.Errorf("%s: process %d is left: %s", r.Name, id.PID, id.Command())
		}
		for mount := range strings.Lines(proc("mountinfo")) {
			if strings.Contains(mount, r.Name) || strings.Contains(mount, ns) {
				r.t.Errorf("%s: mount in process %d is left: %s", r.Name, id.PID, mount)
			}
		}
	}
	if now := interfaces(r.t); now != links {
		r.t.Errorf("%s: the machine's interfaces are\n%s\nbefore they were\n%s", r.Name, now, links)
	}
}

func interfaces(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "-o", "link").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func exitCode(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// TestTwoClusters boots two clusters side by side. One of them crashes, which
// the other must not notice; both must be gone when they are down.
func TestTwoClusters(t *testing.T) {
	links := interfaces(t)
	a, b := newRig(t, "a"), newRig(t, "b")
	a.must("up")
	b.must("up")
	if out := a.must("up"); !strings.Contains(out, "already up") {
		t.Errorf("second up printed %q", out)
	}
	nsA, nsB := a.ns(), b.ns()

	a.must("kubectl", "run", "long", "--image="+state.Registry+"/test/busybox:1", "--", "sleep", "600")
	a.must("kubectl", "wait", "pod/long", "--for=condition=Ready", "--timeout=60s")
	b.must("kubectl", "run", "long", "--image="+state.Registry+"/test/busybox:1", "--", "sleep", "600")
	if log := b.run("hello", "echo hello from $HOSTNAME"); log != "hello from hello\n" {
		t.Errorf("log of the pod: %q", log)
	}

	b.crash(true)
	if out, err := b.cluster("status"); err == nil || !strings.Contains(out, "crashed") {
		t.Errorf("status of a crashed cluster: %q, %v", out, err)
	}
	b.must("down")
	b.checkGone(nsB, links)

	a.must("status")
	a.must("restart", "kubelet")
	a.must("restart", "apiserver", "--kill")
	if out := a.must("kubectl", "get", "pod", "long", "-o", "jsonpath={.status.phase} {.status.containerStatuses[0].restartCount}"); out != "Running 0" {
		t.Errorf("pod after restarts of kubelet and API server: %q", out)
	}
	a.must("down")
	a.checkGone(nsA, links)
}

// TestCrashOfInit kills process 1 and leaves a process in the network
// namespace; both "up" and "down" must cope.
func TestCrashOfInit(t *testing.T) {
	links := interfaces(t)
	r := newRig(t, "init")
	r.must("up")
	guest := exec.Command(r.bin, "exec", "--name", r.Name, "--dir", r.Dir, "--", "sleep", "600")
	if err := guest.Start(); err != nil {
		t.Fatal(err)
	}
	reaped := make(chan struct{})
	go func() { guest.Wait(); close(reaped) }()
	r.crash(false)
	r.must("up") // removes the old one first
	<-reaped
	r.run("hello", "echo hello")
	ns := r.ns()
	r.must("down")
	r.checkGone(ns, links)
}

func TestExec(t *testing.T) {
	r := newRig(t, "exec")
	if _, err := r.cluster("exec", "--", "true"); exitCode(err) != exitDown {
		t.Errorf("exec without a cluster: %v, want exit code %d", err, exitDown)
	}
	r.must("up")
	if out := r.must("exec", "--", "sh", "-c", "echo $RUNNERD_CLUSTER_NAME"); out != r.Name+"\n" {
		t.Errorf("exec printed %q", out)
	}
	if _, err := r.cluster("exec", "--", "sh", "-c", "exit 7"); exitCode(err) != 7 {
		t.Errorf("exec: %v, want exit code 7", err)
	}
	agent := filepath.Join(filepath.Dir(r.bin), "hello")
	first := r.must("images", "--helper-agent", agent)
	if again := r.must("images", "--helper-agent", agent); again != first {
		t.Errorf("same agent, other reference: %q, then %q", first, again)
	}
	r.must("kubectl", "run", "helper", "--image="+strings.TrimSpace(first), "--restart=Never")
	r.must("kubectl", "wait", "pod/helper", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
	if log := r.must("kubectl", "logs", "helper"); !strings.Contains(log, "hello") {
		t.Errorf("helper's log: %q", log)
	}
}
