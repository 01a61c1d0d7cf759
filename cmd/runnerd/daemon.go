package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/metrics"
	"github.com/runnerd/runnerd/pkg/poller"
	"github.com/runnerd/runnerd/pkg/status"
	"github.com/runnerd/runnerd/pkg/trace"
	"github.com/runnerd/runnerd/pkg/tracing"
)

// A daemon runs the entries of a config until it is told to stop. The fields
// are made by newDaemon and not changed afterwards, but for those
// behind config, which belong to the goroutine of run.
type daemon struct {
	build    buildInfo
	path     string // of the config file; "" when there is none to reload
	log      *zap.Logger
	level    zap.AtomicLevel
	agent    string // path of the agent's binary, for the local executor
	systemID string
	manager  *manager

	listenAddress string // beats the config's, unless ""

	registry *prometheus.Registry
	process  *metrics.Process
	jobs     *metrics.Jobs
	backlog  *metrics.Backlog
	logs     *metrics.Logs
	gitlab   *gitlab.Metrics
	cluster  *kubernetes.Metrics
	polling  *poller.Metrics
	caches   *cache.Metrics
	policy   *metrics.Policy
	spans    *tracing.Metrics
	tracer   *tracing.Tracer // nil: no traces; set by run
	slots    *poller.Slots
	budget   *trace.Budget
	status   *status.Status

	config  *config.Config
	seen    fileVersion // of the file that config was read from
	running []*runningEntry
	swept   map[job.Secret]bool // tokens whose leftovers have been removed
	rotated time.Time           // when a token's rotation has last failed
	entries sync.WaitGroup
	leases  leases
	claims  *kubernetes.Claims
}

// A runningEntry is an entry that takes jobs, and the way to stop that.
type runningEntry struct {
	setup entrySetup
	drain context.CancelFunc // take no more jobs
}

// keepAlives is how many "is it canceled?" requests a second all jobs together
// may make; see trace.Budget.
const keepAlives = 20

func newDaemon(build buildInfo, path, agent string, c *config.Config, log *zap.Logger, level zap.AtomicLevel) (*daemon, error) {
	manager, err := claimManager(path, log)
	if err != nil {
		return nil, err
	}
	d := &daemon{
		build: build, path: path, log: log, level: level, agent: agent, systemID: manager.systemID, manager: manager,
		config: c, seen: look(path), swept: map[job.Secret]bool{},
		registry: prometheus.NewRegistry(), slots: poller.NewSlots(c.Concurrent),
		budget: trace.NewBudget(keepAlives), status: &status.Status{}, claims: kubernetes.NewClaims(),
	}
	d.count(d.registry)
	d.log = log.WithOptions(zap.Hooks(d.process.Logged))
	d.enter(metrics.Starting)
	return d, nil
}

// count makes all metrics and registers them with reg.
func (d *daemon) count(reg prometheus.Registerer) {
	d.process = metrics.NewProcess(reg, metrics.Build{Name: product, Version: d.build.Version, Revision: d.build.Revision, BuiltAt: d.build.Built})
	d.jobs = metrics.NewJobs(reg)
	d.backlog = metrics.NewBacklog(reg)
	d.logs = metrics.NewLogs(reg)
	d.gitlab = gitlab.NewMetrics(reg)
	d.cluster = kubernetes.NewMetrics(reg)
	d.caches = cache.NewMetrics(reg)
	d.policy = metrics.NewPolicy(reg)
	d.polling = poller.NewMetrics(reg, d.slots)
	d.spans = tracing.NewMetrics(reg)
}

func (d *daemon) enter(state string) {
	d.process.State(state)
	d.status.SetProcess(state)
}

// A stopper says how far the daemon has been asked to stop. Each context ends
// when its step has been asked for.
type stopper struct {
	drain  context.Context // take no more jobs, let the running ones finish
	force  context.Context // let go of the running ones as well, see executor.ErrDetached; drain ends with it
	reload <-chan os.Signal
}

// run takes and runs jobs until stop.drain ends and the last job is over. It
// stops in stages: no new jobs; the jobs finish, are left to the next process, or
// are interrupted and reported; then the listener closes, so that metrics can be read to the end.
func (d *daemon) run(stop stopper) error {
	serving, closeServer := context.WithCancel(context.WithoutCancel(stop.force))
	defer closeServer()
	served := make(chan error, 1)
	if err := d.serve(serving, served); err != nil {
		return err
	}
	endTraces, err := d.trace(stop.force)
	if err != nil {
		closeServer()
		return errors.Join(err, <-served)
	}
	defer endTraces()
	defer d.manager.release()
	defer d.leases.start(context.WithoutCancel(stop.force))()
	if err := d.apply(stop, d.config); err != nil {
		closeServer()
		return errors.Join(err, <-served)
	}
	d.enter(metrics.Running)
	d.log.Info("runnerd started", zap.String("version", d.build.Version), zap.String("system_id", d.systemID),
		zap.Int("runners", len(d.config.Runners)), zap.Int("concurrent", d.config.Concurrent))

	failed := d.follow(stop, served)
	for _, e := range d.running {
		e.drain()
	}
	late := d.finish(stop)
	closeServer()
	if failed == nil {
		failed = <-served
	}
	d.log.Info("runnerd stopped")
	return errors.Join(failed, late)
}

// finish waits for the jobs. Once stop.force has ended, it waits for
// shutdown_timeout at most.
func (d *daemon) finish(stop stopper) error {
	ended := make(chan struct{})
	go func() {
		d.entries.Wait()
		close(ended)
	}()
	if stop.force.Err() == nil {
		d.enter(metrics.GracefulShutdown)
		d.log.Info("draining: no new jobs, waiting for the running ones", zap.Int("jobs", len(d.status.Jobs())))
	}
	select {
	case <-ended:
		return nil
	case <-stop.force.Done():
	}
	d.enter(metrics.ForcefulShutdown)
	d.log.Info("stopping: jobs in pods are left to the next runnerd, other running jobs are interrupted", zap.Int("jobs", len(d.status.Jobs())))
	patience := d.config.ShutdownTimeout.Duration()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return fmt.Errorf("stop: jobs are not reported or not cleaned up within %v (shutdown_timeout)", patience)
	}
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
	go func() { served <- status.Serve(ctx, listener, d.status.Handler(d.registry, d.config.Pprof)) }()
	return nil
}
