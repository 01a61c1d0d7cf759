package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// processes starts processes, each the leader of its own session, and waits
// for them. As PID 1 of a container it also buries what was left to it.
type processes struct {
	init bool // this is PID 1
	dead chan os.Signal

	mu    sync.Mutex
	alive map[int]*process // those started here, when init
}

// A process is one that was started. status is set when done closes.
type process struct {
	pid    int
	done   chan struct{}
	status syscall.WaitStatus
}

func newProcesses() *processes {
	p := &processes{init: os.Getpid() == 1, alive: make(map[int]*process)}
	if p.init {
		p.dead = make(chan os.Signal, 1)
		signal.Notify(p.dead, syscall.SIGCHLD)
	}
	return p
}

// Run buries dead processes until ctx ends. Only PID 1 has to.
func (p *processes) Run(ctx context.Context) {
	if !p.init {
		return
	}
	defer signal.Stop(p.dead)
	for {
		p.bury()
		select {
		case <-ctx.Done():
			return
		case <-p.dead:
		}
	}
}

func (p *processes) bury() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if own := p.alive[pid]; own != nil {
			delete(p.alive, pid)
			own.status = status
			close(own.done)
		}
	}
}

// start starts cmd, whose files must all be *os.File or nil, so that nothing
// but the process itself has to be waited for.
func (p *processes) start(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !p.init {
		if err := cmd.Start(); err != nil {
			return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
		}
		started := &process{pid: cmd.Process.Pid, done: make(chan struct{})}
		go func() {
			defer close(started.done)
			_ = cmd.Wait() // the status says it all
			if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
				started.status = s
			}
		}()
		return started, nil
	}
	// Under the lock, so that bury does not meet a process not yet known.
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	started := &process{pid: cmd.Process.Pid, done: make(chan struct{})}
	p.alive[started.pid] = started
	_ = cmd.Process.Release()
	return started, nil
}

// signal sends sig to the process's group, if the process still lives.
func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.pid, sig) // it may have ended just now
	}
}

// stop ends the process: politely, after grace or when hurry is closed for
// good. It returns when the process is gone.
func (p *process) stop(grace time.Duration, hurry <-chan struct{}) {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	case <-hurry:
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

// exitCode is the status as a shell reports it: 128+N for signal N.
func (p *process) exitCode() int {
	if p.status.Signaled() {
		return 128 + int(p.status.Signal())
	}
	return p.status.ExitStatus()
}
