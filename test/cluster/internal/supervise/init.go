package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Init is process 1 of the cluster's PID namespace: it starts the supervisor
// as its only child of its own, passes on signals and collects the exit status
// of every orphan, which is its alone to do. It returns the supervisor's exit
// code when that ends, whatever the reason. The kernel then kills all that is
// left in the namespace, containers too: so a crash leaves no process behind.
func Init(argv []string, files ...*os.File) (int, error) {
	if err := privateMounts(); err != nil {
		return 1, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	// Not os/exec: its wait and the one below would race for the exit status.
	child, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Files: append([]*os.File{os.Stdin, os.Stdout, os.Stderr}, files...),
	})
	if err != nil {
		return 1, err
	}
	for _, f := range files {
		f.Close() // readers see the end of a pipe when the supervisor closes it
	}
	for sig := range signals {
		if sig != syscall.SIGCHLD {
			_ = child.Signal(sig)
			continue
		}
		if code, done, err := reap(child.Pid); done || err != nil {
			return code, err
		}
	}
	return 0, nil
}

// reap collects all ended children; done is true if supervisor was one.
func reap(supervisor int) (code int, done bool, err error) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1, false, fmt.Errorf("wait: %w", err)
		case pid == 0:
			return code, done, nil
		case pid == supervisor:
			code, done = ws.ExitStatus(), true
			if ws.Signaled() {
				code = 128 + int(ws.Signal())
			}
			return code, done, nil
		}
	}
}
