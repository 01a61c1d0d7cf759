package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/executor"
)

// runOptions are the flags of `runnerd run`.
type runOptions struct {
	ConfigPath    string
	ConfigSeen    fileVersion // of the file, from before it was read
	ListenAddress string      // beats the config's
	Warnings      []config.Warning
	Version       buildInfo
	Stderr        io.Writer
}

// runDaemon takes and runs jobs until a signal: SIGQUIT drains, SIGTERM and
// SIGINT leave the running jobs to the next process, or interrupt those that no
// process can go on with, a second one of these ends the process at once; SIGHUP
// reloads the config.
func runDaemon(ctx context.Context, cfg *config.Config, o runOptions) error {
	cfg.ListenAddress = cmp.Or(o.ListenAddress, cfg.ListenAddress)
	log, level := newLogger(cfg, o.Stderr)
	defer func() { _ = log.Sync() }() // a terminal cannot be synced
	logKubernetes(log)
	logWarnings(log, o.Warnings)
	d, err := newDaemon(o.Version, o.ConfigPath, agentPath(), cfg, log, level)
	if err != nil {
		return err
	}
	d.seen, d.listenAddress = o.ConfigSeen, o.ListenAddress
	stop, release := stopOnSignals(ctx, log)
	defer release()
	return d.run(stop)
}

// agentPath is the agent's binary beside this one, for the local executor.
func agentPath() string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return filepath.Join(filepath.Dir(self), "runnerd-agent")
}

// stopOnSignals turns signals into steps of the stop.
func stopOnSignals(ctx context.Context, log *zap.Logger) (stop stopper, release func()) {
	force, end := context.WithCancelCause(ctx)
	interrupt := func() { end(executor.ErrDetached) }
	drain, drainJobs := context.WithCancel(force)
	signals := make(chan os.Signal, 4)
	reload := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(reload, syscall.SIGHUP)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				log.Info("signal received", zap.Stringer("signal", s))
				if s == syscall.SIGQUIT {
					drainJobs()
					continue
				}
				if force.Err() != nil {
					fmt.Fprintln(os.Stderr, "runnerd: second signal: ending at once")
					os.Exit(exitFailure)
				}
				interrupt()
			}
		}
	}()
	return stopper{drain: drain, force: force, reload: reload}, func() {
		signal.Stop(signals)
		signal.Stop(reload)
		close(done)
		<-ended
		interrupt()
	}
}
