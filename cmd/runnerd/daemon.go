package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/metrics"
	"github.com/runnerd/runnerd/pkg/poller"
	"github.com/runnerd/runnerd/pkg/status"
	"github.com/runnerd/runnerd/pkg/trace"
)

// A daemon runs the entries of a config until it is told to stop. The fields
// are made by newDaemon and not changed afterwards, but for config and running,
// which belong to the goroutine of run.
type daemon struct {
	build    buildInfo
	path     string // of the config file; "" when there is none to reload
	log      *zap.Logger
	level    zap.AtomicLevel
	agent    string // path of the agent's binary, for the local executor
	systemID string

	registry *prometheus.Registry
	process  *metrics.Process
	jobs     *metrics.Jobs
	gitlab   *gitlab.Metrics
	polling  *poller.Metrics
	slots    *poller.Slots
	budget   *trace.Budget
	status   *status.Status

	config  *config.Config
	running []*runningEntry
	entries sync.WaitGroup
}

// A runningEntry is an entry that takes jobs, and the way to stop that.
type runningEntry struct {
	config config.Runner
	drain  context.CancelFunc // take no more jobs
}

// keepAlives is how many "is it canceled?" requests a second all jobs together
// may make; see trace.Budget.
const keepAlives = 20

// reloadInterval is how often the config file is looked at.
const reloadInterval = 3 * time.Second

func newDaemon(build buildInfo, path, agent string, c *config.Config, log *zap.Logger, level zap.AtomicLevel) (*daemon, error) {
	systemID, err := loadSystemID(path, log)
	if err != nil {
		return nil, err
	}
	d := &daemon{
		build: build, path: path, log: log, level: level, agent: agent, systemID: systemID, config: c,
		registry: prometheus.NewRegistry(), slots: poller.NewSlots(c.Concurrent),
		budget: trace.NewBudget(keepAlives), status: &status.Status{},
	}
	d.process = metrics.NewProcess(d.registry, metrics.Build{Name: product, Version: build.Version, Revision: build.Revision, BuiltAt: build.Built})
	d.jobs = metrics.NewJobs(d.registry)
	d.gitlab = gitlab.NewMetrics(d.registry)
	d.polling = poller.NewMetrics(d.registry, d.slots)
	d.enter(metrics.Starting)
	return d, nil
}

// loadSystemID keeps the manager's identity beside the config file. Where that
// cannot be written, as in a mounted ConfigMap, it lasts as long as the process.
func loadSystemID(configPath string, log *zap.Logger) (string, error) {
	if configPath == "" {
		dir, err := os.MkdirTemp("", product)
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(dir)
		configPath = filepath.Join(dir, "config.toml")
	}
	id, err := gitlab.LoadSystemID(filepath.Join(filepath.Dir(configPath), ".runner_system_id"), "")
	if err != nil && id != "" {
		log.Warn("system id not stored: after a restart GitLab will see another runner manager", zap.Error(err))
		return id, nil
	}
	return id, err
}

func (d *daemon) enter(state string) {
	d.process.State(state)
	d.status.SetProcess(state)
}

// A stopper says how far the daemon has been asked to stop. Each context ends
// when its step has been asked for.
type stopper struct {
	drain  context.Context // take no more jobs, let the running ones finish
	force  context.Context // end the running ones as well
	reload <-chan os.Signal
}

// run takes and runs jobs until stop.drain ends and the last job is over. It
// stops in stages: no new jobs; the jobs finish, or are interrupted and
// reported; then the listener closes, so that metrics can be read to the end.
func (d *daemon) run(stop stopper) error {
	serving, closeServer := context.WithCancel(context.WithoutCancel(stop.force))
	defer closeServer()
	served := make(chan error, 1)
	if err := d.serve(serving, served); err != nil {
		return err
	}
	if err := d.apply(stop, d.config); err != nil {
		closeServer()
		<-served
		return err
	}
	d.enter(metrics.Running)
	d.log.Info("runnerd started", zap.String("version", d.build.Version), zap.String("system_id", d.systemID),
		zap.Int("runners", len(d.config.Runners)), zap.Int("concurrent", d.config.Concurrent))

	failed := d.follow(stop, served)
	for _, e := range d.running {
		e.drain()
	}
	if stop.force.Err() == nil {
		d.enter(metrics.GracefulShutdown)
		d.log.Info("draining: no new jobs, waiting for the running ones", zap.Int("jobs", len(d.status.Jobs())))
	}
	forcing := context.AfterFunc(stop.force, func() {
		d.enter(metrics.ForcefulShutdown)
		d.log.Info("stopping: running jobs are interrupted", zap.Int("jobs", len(d.status.Jobs())))
	})
	d.entries.Wait()
	forcing()
	closeServer()
	if failed == nil {
		failed = <-served
	}
	d.log.Info("runnerd stopped")
	return failed
}

// serve answers metrics and health requests, if the config says where.
func (d *daemon) serve(ctx context.Context, served chan<- error) error {
	if d.config.ListenAddress == "" {
		served <- nil
		return nil
	}
	listener, err := status.Listen(ctx, d.config.ListenAddress)
	if err != nil {
		return err
	}
	d.log.Info("serving metrics and health", zap.String("address", listener.Addr().String()))
	go func() { served <- status.Serve(ctx, listener, d.status.Handler(d.registry)) }()
	return nil
}

// follow applies changes of the config file until the daemon is to stop. Its
// error is that of the listener, when it ended by itself.
func (d *daemon) follow(stop stopper, served <-chan error) error {
	if d.config.ListenAddress == "" {
		served = nil
	}
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	last := modified(d.path)
	for {
		select {
		case <-stop.drain.Done():
			return nil
		case <-stop.force.Done():
			return nil
		case err := <-served:
			return errors.Join(errors.New("the listener for metrics has ended"), err)
		case <-stop.reload:
			d.reload(stop)
			last = modified(d.path)
		case <-ticker.C:
			if now := modified(d.path); !now.Equal(last) {
				last = now
				d.reload(stop)
			}
		}
	}
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{} // a file that is being replaced; the next look sees it
	}
	return info.ModTime()
}

// reload puts a changed config file into force, or keeps the old config.
func (d *daemon) reload(stop stopper) {
	c, warnings, err := config.Load(d.path)
	if err == nil {
		logWarnings(d.log, warnings)
		err = d.apply(stop, c)
	}
	if err != nil {
		d.process.ConfigFailed()
		d.log.Error("configuration not reloaded; the old one stays in force", zap.Error(err))
		return
	}
	d.log.Info("configuration reloaded", zap.Int("runners", len(c.Runners)), zap.Int("concurrent", c.Concurrent))
}

// apply starts the entries of c that do not run yet and drains those that c
// does not have. A running job keeps the settings it started with. On an error
// nothing has changed.
func (d *daemon) apply(stop stopper, c *config.Config) error {
	var added []*entry
	var kept []*runningEntry
	for _, r := range c.Runners {
		if e := d.find(r); e != nil {
			kept = append(kept, e)
			continue
		}
		e, err := d.newEntry(c, r)
		if err != nil {
			return fmt.Errorf("runner %q: %w", r.Name, err)
		}
		added = append(added, e)
	}
	for _, e := range d.running {
		if !contains(kept, e) {
			e.drain()
		}
	}
	d.running = kept
	for _, e := range added {
		polling, cancel := context.WithCancel(stop.drain)
		d.running = append(d.running, &runningEntry{config: e.config, drain: cancel})
		d.entries.Go(func() { e.run(polling, stop.force) })
	}
	d.config = c
	d.slots.SetLimit(c.Concurrent)
	d.level.SetLevel(logLevel(c.LogLevel))
	d.process.ConfigLoaded()
	return nil
}

func (d *daemon) find(r config.Runner) *runningEntry {
	for _, e := range d.running {
		if reflect.DeepEqual(e.config, r) {
			return e
		}
	}
	return nil
}

func contains(list []*runningEntry, e *runningEntry) bool {
	for _, other := range list {
		if other == e {
			return true
		}
	}
	return false
}
