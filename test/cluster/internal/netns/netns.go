// Package netns makes, enters and removes the network namespace of a cluster.
//
// Inside it are the loopback device, one bridge without ports that carries the
// node's address, and a default route over that bridge, for programs that look
// for one. More specific routes tell whoever wants to go outside at once that
// there is no way, but for Services: a route is looked up before the address
// is translated.
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/test/cluster/internal/procs"
)

// Path is the file that stands for the namespace.
func Path(name string) string { return filepath.Join("/run/netns", name) }

// Exists says whether there is a namespace called name.
func Exists(name string) bool {
	_, err := os.Stat(Path(name))
	return err == nil
}

// Create makes the namespace with the node's address in it and a route for
// Services, both in CIDR form. It does without "ip netns add", which leaves a mount of /run/netns behind.
func Create(ctx context.Context, name, node, services string) error {
	addr, _, err := net.ParseCIDR(node)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(Path(name)), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(Path(name), os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	f.Close()
	err = onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", Path(name), "", unix.MS_BIND, "")
	})
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	return Do(name, func() error {
		cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("link set lo up\nlink add node0 type bridge\naddr add %s dev node0\n"+
			"link set node0 up\nroute add default dev node0 src %s\nroute add %s dev node0 src %s\n"+
			"route add unreachable 0.0.0.0/1\nroute add unreachable 128.0.0.0/1\n", node, addr, services, addr))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ip: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
	})
}

// Delete removes the namespace's name; the kernel removes the rest once no
// process is in it any more. It is no error if there is none.
func Delete(name string) error {
	if err := unix.Unmount(Path(name), unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	if err := os.Remove(Path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("network namespace: %w", err)
	}
	return nil
}

// Do runs fn on a thread inside the namespace. Sockets that fn opens and
// processes that it starts stay in the namespace.
func Do(name string, fn func() error) error {
	return onOwnThread(func() error {
		if err := enter(name); err != nil {
			return err
		}
		return fn()
	})
}

// onOwnThread runs fn on a thread that nothing else runs on, then or later.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- fn()
	}()
	return <-done
}

// Dialer returns a dial function whose connections are made in the namespace.
func Dialer(name string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = Do(name, func() error {
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	}
}

// Exec replaces this process by program inside the namespace; it returns only
// if that failed.
func Exec(name, program string, argv, env []string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := enter(name); err != nil {
		return err
	}
	return &os.PathError{Op: "exec", Path: path, Err: syscall.Exec(path, argv, env)}
}

func enter(name string) error {
	f, err := os.Open(Path(name))
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	return nil
}

// Members lists the processes in the namespace, other than this one and those
// that it descends from.
func Members(name string) ([]procs.ID, error) {
	var st unix.Stat_t
	if err := unix.Stat(Path(name), &st); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil, nil
		}
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	self := ancestors()
	ns := fmt.Sprintf("net:[%d]", st.Ino)
	var ids []procs.ID
	for _, id := range procs.All() {
		if !self[id.PID] && procs.Namespace(id.PID, "net") == ns {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// ancestors holds this process's id and those of its parents.
func ancestors() map[int]bool {
	found := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !found[pid]; pid = procs.Parent(pid) {
		found[pid] = true
	}
	return found
}
