// Package supervise keeps the components of a cluster running.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Component is a program to keep running.
type Component struct {
	Name string
	Argv []string
	Env  []string // added to this process's own
	Log  string   // file that gets its output

	// Ready returns nil once the component does its work.
	Ready func(ctx context.Context) error
	// Grace is how long it may take to end before it is killed.
	Grace time.Duration
}

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 5 * time.Second
	// calm is how long a component must have run for the backoff to start over.
	calm = 30 * time.Second
)

// A Process runs one component and starts it again whenever it ends.
type Process struct {
	Component
	stop context.CancelFunc
	done chan struct{} // closed when it is stopped for good

	mu       sync.Mutex // guards what follows
	cmd      *exec.Cmd  // nil while it is not running
	starts   int
	wanted   int // restarts that were asked for
	lastExit error
	changed  chan struct{} // closed and renewed at each start
}

// Start starts the component; it runs until [Process.Stop].
func Start(c Component) *Process {
	ctx, stop := context.WithCancel(context.Background())
	p := &Process{Component: c, stop: stop, done: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.run(ctx)
	}()
	return p
}

// Stop ends the component and returns once it is gone.
func (p *Process) Stop() {
	p.stop()
	<-p.done
}

func (p *Process) run(ctx context.Context) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := p.runOnce(ctx)
		if time.Since(began) > calm {
			backoff = firstBackoff
		}
		p.mu.Lock()
		p.cmd, p.lastExit = nil, err
		asked := p.wanted
		p.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(os.Stderr, "%s %s: %v\n", time.Now().Format(time.RFC3339), p.Name, err)
		if asked > 0 { // tests ask for restarts: no wait for those
			p.mu.Lock()
			p.wanted--
			p.mu.Unlock()
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// runOnce starts the component and waits for its end, or ends it with ctx. The
// error says how it ended; it is never nil, as a component should not end.
func (p *Process) runOnce(ctx context.Context) error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, p.Argv[0], p.Argv[1:]...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a ^C is not for it
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = p.Grace
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	p.mu.Lock()
	p.cmd = cmd
	p.starts++
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); err == nil || errors.As(err, &exit) {
		return fmt.Errorf("ended: %s", cmd.ProcessState)
	}
	return err
}

// WaitReady returns once the component is ready. It gives up when ctx ends or
// the component keeps ending by itself, and then says what its log says last.
func (p *Process) WaitReady(ctx context.Context) error {
	const tooOften = 3
	first := p.Status().Starts
	for {
		st := p.Status()
		var err error
		if st.PID == 0 {
			err = errors.New("not running")
		} else if err = p.ready(ctx); err == nil {
			return nil
		}
		if st.Starts-first >= tooOften {
			return p.explain(fmt.Errorf("started %d times: %w", st.Starts, st.LastExit))
		}
		select {
		case <-ctx.Done():
			return p.explain(fmt.Errorf("not ready: %w", err))
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// ready asks once, for a short time: a component that is still starting may
// accept a connection and not answer.
func (p *Process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return p.Ready(ctx)
}

// Restart asks the running component to end, kills it when its grace is over
// (or at once, with kill), and returns once it has been started again and is
// ready.
func (p *Process) Restart(ctx context.Context, kill bool) error {
	p.mu.Lock()
	cmd, changed := p.cmd, p.changed
	if cmd != nil {
		p.wanted++
	}
	p.mu.Unlock()
	grace := p.Grace
	if kill {
		grace = 0
	}
	if cmd != nil && !kill {
		if err := send(cmd, syscall.SIGTERM); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	killer := time.After(grace)
	for {
		select {
		case <-changed:
			return p.WaitReady(ctx)
		case <-killer:
			if cmd == nil {
				continue
			}
			if err := send(cmd, syscall.SIGKILL); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
		case <-ctx.Done():
			return p.explain(fmt.Errorf("not restarted: %w", context.Cause(ctx)))
		}
	}
}

func send(cmd *exec.Cmd, sig syscall.Signal) error {
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// A Status is what is known of a component at one moment.
type Status struct {
	Name     string
	PID      int // 0 while it is not running; in the supervisor's PID namespace
	Starts   int
	LastExit error
}

// Status returns the present status.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := Status{Name: p.Name, Starts: p.starts, LastExit: p.lastExit}
	if p.cmd != nil {
		st.PID = p.cmd.Process.Pid
	}
	return st
}

// explain adds to err where to read on, and the log's last line.
func (p *Process) explain(err error) error {
	return fmt.Errorf("%s: %w, see %s: %s", p.Name, err, p.Log, LastLine(p.Log))
}

// LastLine returns the last line of a log file that is not blank.
func LastLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "no log"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
