// Package cgroup makes and removes the cgroup of a cluster, in every hierarchy
// of cgroup v1 or in the one of v2.
//
// A kubelet removes pod cgroups that it does not know, so two clusters on one
// machine need one root each. Below the root, the child "system" holds the
// components, as a v2 cgroup with children may hold no processes of its own.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/test/cluster/internal/procs"
)

const mountPoint = "/sys/fs/cgroup"

// controllers are those a kubelet needs; v2 hands them down only when told to.
var controllers = []string{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"}

// Create makes root and root/system in every hierarchy.
func Create(root string) error {
	if unified() {
		return createUnified(root)
	}
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range dirs {
		for _, dir := range []string{filepath.Join(h, root), filepath.Join(h, root, "system")} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("cgroup: %w", err)
			}
			if err := inheritCPUSet(dir); err != nil {
				return fmt.Errorf("cgroup: %w", err)
			}
		}
	}
	return nil
}

// inheritCPUSet copies the parent's CPUs and memory nodes: in v1 a new cpuset
// has none and takes no processes.
func inheritCPUSet(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another hierarchy
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func createUnified(root string) error {
	top := filepath.Join(mountPoint, root)
	if err := os.MkdirAll(filepath.Join(top, "system"), 0o755); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	available, err := os.ReadFile(filepath.Join(mountPoint, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	for _, dir := range []string{mountPoint, top} {
		for _, c := range strings.Fields(string(available)) {
			if !slices.Contains(controllers, c) {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644); err != nil {
				return fmt.Errorf("cgroup: hand down %s: %w", c, err)
			}
		}
	}
	return nil
}

// JoinSystem moves this process into root/system.
func JoinSystem(root string) error {
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range dirs {
		if err := os.WriteFile(filepath.Join(h, root, "system", "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
	}
	return nil
}

// Exists says whether any hierarchy has root.
func Exists(root string) bool {
	dirs, err := trees(root)
	return err == nil && len(dirs) > 0
}

// Members lists the processes in root or below it.
func Members(root string) ([]procs.ID, error) {
	dirs, err := trees(root)
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	var ids []procs.ID
	for _, dir := range dirs {
		list, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, field := range strings.Fields(string(list)) {
			pid, err := strconv.Atoi(field)
			if err != nil || seen[pid] {
				continue
			}
			seen[pid] = true
			if id, ok := procs.Get(pid); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// Remove removes root and all below it. It goes on until ctx ends, since a
// cgroup stays busy for a moment after its last process has died.
func Remove(ctx context.Context, root string) error {
	for {
		dirs, err := trees(root)
		if err != nil || len(dirs) == 0 {
			return err
		}
		slices.Reverse(dirs) // children first
		for _, dir := range dirs {
			if rmErr := os.Remove(dir); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
				err = rmErr
			}
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cgroup: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// trees lists root and all cgroups below it in every hierarchy, parents first.
func trees(root string) ([]string, error) {
	tops, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, h := range tops {
		// A cgroup may vanish while it is walked; what is left is listed.
		_ = filepath.WalkDir(filepath.Join(h, root), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	return dirs, nil
}

// hierarchies lists where cgroup file systems are mounted. A hybrid machine has
// those of v1 and one of v2 without controllers beside them; runc uses that too.
func hierarchies() ([]string, error) {
	if unified() {
		return []string{mountPoint}, nil
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	var dirs []string
	for line := range strings.Lines(string(b)) {
		mount, super, _ := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if len(fields) > 4 && strings.HasPrefix(super, "cgroup") && filepath.Dir(fields[4]) == mountPoint {
			dirs = append(dirs, fields[4])
		}
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("cgroup: none mounted under %s", mountPoint)
	}
	return dirs, nil
}

func unified() bool {
	var st unix.Statfs_t
	return unix.Statfs(mountPoint, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}
