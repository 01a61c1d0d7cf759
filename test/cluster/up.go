package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/boot"
	"github.com/runnerd/runnerd/test/cluster/internal/cgroup"
	"github.com/runnerd/runnerd/test/cluster/internal/debian"
	"github.com/runnerd/runnerd/test/cluster/internal/filelock"
	"github.com/runnerd/runnerd/test/cluster/internal/netns"
	"github.com/runnerd/runnerd/test/cluster/internal/procs"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/teardown"
)

func (a *app) upCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Boot the cluster and return once it is ready for pods",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			unlock, err := lock(c)
			if err != nil {
				return err
			}
			defer unlock()
			return a.up(cmd.Context(), c)
		},
	}
}

// lock keeps "up" and "down" of one cluster apart.
func lock(c state.Cluster) (unlock func(), err error) {
	return filelock.Lock(filepath.Join(c.Cache, "cluster", c.Name+".lock"))
}

func (a *app) up(ctx context.Context, c state.Cluster) error {
	began := time.Now()
	if _, alive := procs.Load(teardown.InitFile(c)); alive {
		if st, err := boot.GetStatus(ctx, c); err == nil && st.Up() {
			fmt.Fprintf(a.stdout, "cluster %s is already up\n", c.Name)
			return nil
		}
	}
	if traces := teardown.Traces(c); traces != "" {
		fmt.Fprintf(a.stdout, "cluster %s is not well: removing it first (%s)\n", c.Name, traces)
		if err := teardown.Run(ctx, c, a.stdout); err != nil {
			return err
		}
	}
	if err := debian.Install(ctx, a.stdout); err != nil {
		return err
	}
	builder, err := a.builder(c)
	if err != nil {
		return err
	}
	if _, err := builder.All(ctx); err != nil { // into the cache, for the supervisor
		return err
	}
	if err := a.boot(ctx, c); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(a.stdout, "interrupted: removing the cluster")
			return teardown.Run(context.WithoutCancel(ctx), c, a.stdout)
		}
		return fmt.Errorf("%w (%s has the logs, \"cluster down\" removes what is left)", err, c.Path("logs"))
	}
	fmt.Fprintf(a.stdout, "cluster %s up %.1fs\n", c.Name, time.Since(began).Seconds())
	return nil
}

// boot makes the cluster's namespace and cgroup, starts its supervisor in the
// background and follows that until the cluster is up.
func (a *app) boot(ctx context.Context, c state.Cluster) error {
	if err := c.Claim(); err != nil {
		return err
	}
	if err := cgroup.Create(c.Cgroup()); err != nil {
		return err
	}
	if err := netns.Create(ctx, c.Netns(), state.NodeCIDR, state.ServiceCIDR); err != nil {
		return err
	}
	progress, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer progress.Close()
	err = startInit(c, w)
	w.Close()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { progress.Close() })()
	return boot.Follow(progress, a.stdout)
}

// startInit starts this program as process 1 of the cluster, in namespaces of
// its own. It goes on when this command has ended.
func startInit(c state.Cluster, progress *os.File) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.Log("supervisor"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, "init", "--name", c.Name, "--dir", c.Dir)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{progress}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:       true,
		Cloneflags:   syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS,
	}
	if err := netns.Do(c.Netns(), cmd.Start); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	defer cmd.Process.Release()
	id, ok := procs.Get(cmd.Process.Pid)
	if !ok {
		return fmt.Errorf("the supervisor died at once, see %s", c.Log("supervisor"))
	}
	return id.Save(teardown.InitFile(c))
}
