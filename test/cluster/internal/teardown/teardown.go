// Package teardown removes all traces of a cluster from the machine, whether
// its supervisor still runs or has crashed.
//
// It needs no memory of what was started: members of the cluster are the
// processes in its cgroup and those in its network namespace, and both follow
// from its name.
package teardown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/test/cluster/internal/cgroup"
	"github.com/runnerd/runnerd/test/cluster/internal/netns"
	"github.com/runnerd/runnerd/test/cluster/internal/procs"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

const (
	// stopGrace covers the grace of the components, one after the other.
	stopGrace = 60 * time.Second
	// guestGrace is for processes of "cluster exec".
	guestGrace = 5 * time.Second
)

// InitFile keeps the identity of process 1 of the cluster's PID namespace.
func InitFile(c state.Cluster) string { return c.Path("run", "init.json") }

// Run removes the cluster c and reports to log what it does.
func Run(ctx context.Context, c state.Cluster, log io.Writer) error {
	if err := endSupervisor(ctx, c, log); err != nil {
		return err
	}
	if err := endMembers(ctx, c, log); err != nil {
		return err
	}
	if err := unmount(c.Dir); err != nil {
		return err
	}
	if err := cgroup.Remove(ctx, c.Cgroup()); err != nil {
		return err
	}
	if err := netns.Delete(c.Netns()); err != nil {
		return err
	}
	if err := os.RemoveAll(c.Dir); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	removeShared()
	return nil
}

// removeShared removes folders that the clusters of this machine share, once
// the last cluster is gone; those with anything in them stay.
func removeShared() {
	if others, _ := filepath.Glob(netns.Path("runnerd-*")); len(others) > 0 {
		return
	}
	for _, dir := range []string{state.DefaultParent, filepath.Dir(netns.Path("x")), supervise.CNICache} {
		_ = os.Remove(dir) // fails unless empty
	}
}

// Traces lists what there is of the cluster, "" if nothing.
func Traces(c state.Cluster) string {
	var found []string
	if _, err := os.Stat(c.Dir); err == nil {
		found = append(found, "state folder")
	}
	if netns.Exists(c.Netns()) {
		found = append(found, "network namespace")
	}
	if cgroup.Exists(c.Cgroup()) {
		found = append(found, "cgroup")
	}
	return strings.Join(found, ", ")
}

// endSupervisor lets a running supervisor stop its components in order. When
// it is gone so is everything in its PID namespace: the kernel sees to that.
func endSupervisor(ctx context.Context, c state.Cluster, log io.Writer) error {
	id, ok := procs.Load(InitFile(c))
	if !ok {
		return nil
	}
	began := time.Now()
	if err := id.End(ctx, stopGrace); err != nil {
		return fmt.Errorf("supervisor: %w", err)
	}
	fmt.Fprintf(log, "components stopped %.1fs\n", time.Since(began).Seconds())
	return nil
}

// endMembers ends what is left: after a crash the rest of the cluster, and
// processes that were started with "cluster exec".
func endMembers(ctx context.Context, c state.Cluster, log io.Writer) error {
	inCgroup, err := cgroup.Members(c.Cgroup())
	if err != nil {
		return err
	}
	for _, id := range inCgroup {
		if err := id.Signal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	for _, id := range inCgroup {
		if err := id.Wait(ctx); err != nil {
			return err
		}
	}
	if len(inCgroup) > 0 {
		fmt.Fprintf(log, "killed %d processes that a dead supervisor had left\n", len(inCgroup))
	}
	guests, err := netns.Members(c.Netns())
	if err != nil {
		return err
	}
	for _, id := range guests {
		fmt.Fprintf(log, "ending process %d in the cluster's network: %s\n", id.PID, id.Command())
		if err := id.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(guestGrace) // for all of them together
	for _, id := range guests {
		if err := id.End(ctx, time.Until(deadline)); err != nil {
			return err
		}
	}
	return nil
}

// unmount detaches what is mounted at or below dir in this mount namespace.
// A running cluster's mounts are in one of its own, so this finds something
// only if someone mounted it by hand.
func unmount(dir string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && (f[4] == dir || strings.HasPrefix(f[4], dir+"/")) {
			points = append(points, f[4])
		}
	}
	var errs []error
	for _, point := range slices.Backward(points) { // the last mounted first
		if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}
