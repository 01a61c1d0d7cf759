package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/executor/local"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/lifecycle"
	"github.com/runnerd/runnerd/pkg/metrics"
	"github.com/runnerd/runnerd/pkg/poller"
	"github.com/runnerd/runnerd/pkg/trace"
)

const product = "runnerd"

// defaultBuildsDir is builds_dir where the config says nothing: a path in pods.
const defaultBuildsDir = "/builds"

// An entrySetup is what an entry is made of: its [[runners]] table, and what
// else of the file it depends on.
type entrySetup struct {
	config.Runner
	checkInterval, shutdownTimeout, connectionMaxAge time.Duration
}

func setupOf(c *config.Config, r config.Runner) entrySetup {
	r.TokenObtainedAt, r.TokenExpiresAt = time.Time{}, time.Time{} // for the rotation only
	return entrySetup{
		Runner: r, checkInterval: c.CheckInterval.Duration(), shutdownTimeout: c.ShutdownTimeout.Duration(),
		connectionMaxAge: c.ConnectionMaxAge.Duration(),
	}
}

// An entry is one [[runners]] table with everything that works for it.
type entry struct {
	config config.Runner
	client *gitlab.Client
	runner *lifecycle.Runner
	poller *poller.Poller
	pods   *kubernetes.Executor // nil for the local executor
	caches *entryCache          // nil: there is no store for them
	closes []func()             // what was opened for it
	log    *zap.Logger
}

func (d *daemon) newEntry(s entrySetup) (*entry, error) {
	r, short := s.Runner, gitlab.ShortToken(s.Token)
	e := &entry{config: r, log: d.log.With(zap.String("runner", short), zap.String("name", r.Name))}
	client, err := gitlab.New(d.clientConfig(s))
	if err != nil {
		return nil, err
	}
	e.client = client
	place, err := d.executor(e)
	if err != nil {
		return nil, err
	}
	if e.caches, err = d.newEntryCache(r, e.log); err != nil {
		return nil, err
	}
	plan, err := d.planOptions(r)
	if err != nil {
		return nil, err
	}
	secrets, err := secretsOf(r, d.build)
	if err != nil {
		return nil, err
	}
	e.closes = append(e.closes, secrets.Close)
	id := metrics.Runner{ShortToken: short, Name: r.Name, SystemID: d.systemID}
	verdicts, err := d.judge(e, id)
	if err != nil {
		return nil, err
	}
	d.jobs.Introduce(id)
	backlog := &trace.Backlog{}
	e.closes = append(e.closes, d.backlog.Watch(id, func() metrics.Unconfirmed { return metrics.Unconfirmed(backlog.Unconfirmed()) }))
	e.runner = lifecycle.New(lifecycle.Options{
		Plan: plan, SystemID: d.systemID, Judge: verdicts, Executor: place, Caches: e.caches.of(), Secrets: secrets,
		Trace:   trace.Options{API: client, Budget: d.budget, Backlog: backlog, Lag: d.logs.Of(id), FinishTimeout: r.FinalUpdateTimeout.Duration()},
		Observe: func(b lifecycle.Beginning) lifecycle.Observer { return d.observe(id, r, b) },
		Extra:   d.parent(r),
		Log:     e.log, RemoveLater: e.pods != nil, ProjectLimit: r.ProjectLimit,
		TwoPhase: e.pods != nil && r.TwoPhase == config.TwoPhaseAuto,
		// A tenth is left for what comes behind the report.
		ReportTimeout: s.shutdownTimeout - s.shutdownTimeout/10,
	})
	e.poller = poller.New(poller.Options{
		Source: client, Handler: handler{e}, Slots: d.slots, Room: e.runner.Room, Metrics: d.polling, Log: d.log,
		Labels: poller.Labels{Runner: id.ShortToken, RunnerName: id.Name, SystemID: id.SystemID},
		Settings: poller.Settings{
			Limit: r.Limit, RequestConcurrency: r.RequestConcurrency,
			CheckInterval: s.checkInterval, Strict: r.StrictCheckInterval,
			UnhealthyLimit: r.UnhealthyRequestsLimit, UnhealthyInterval: r.UnhealthyInterval.Duration(),
		},
	})
	return e, nil
}

// run takes jobs until polling ends and runs them until the last is over. When
// jobs ends, the running ones are interrupted. first says that no entry with
// the token has run in this process yet.
func (e *entry) run(polling, jobs context.Context, first bool) {
	defer e.client.Close()
	for _, closeIt := range e.closes {
		defer closeIt()
	}
	defer e.caches.begin(context.WithoutCancel(jobs))()
	watching, stopWatching := context.WithCancel(context.WithoutCancel(jobs))
	var watch sync.WaitGroup
	if e.pods != nil {
		watch.Go(func() {
			if err := e.pods.Watch(watching); err != nil && watching.Err() == nil {
				e.log.Error("watch of the job pods ended", zap.Error(err))
			}
		})
	}
	adoption := &adoption{entry: e, jobs: jobs}
	if first {
		adoption.takeOver(polling)
	}
	e.verify(polling)
	var looking sync.WaitGroup
	looking.Go(func() { adoption.watch(polling) })
	if err := e.poller.Run(polling, jobs); err != nil && !errors.Is(err, context.Canceled) {
		e.log.Error("polling ended", zap.Error(err))
	}
	looking.Wait()
	adoption.running.Wait()
	e.runner.Wait()
	stopWatching()
	watch.Wait()
}

// verify makes GitLab's first sight of this manager one with all its features;
// GitLab keeps those of the first contact for the better part of an hour.
func (e *entry) verify(ctx context.Context) {
	if _, err := e.client.Verify(ctx); err != nil && ctx.Err() == nil {
		e.log.Warn("runner not verified; asking for jobs all the same", zap.Error(err))
	}
}

// A handler takes jobs from the poller to the lifecycle.
type handler struct{ *entry }

func (h handler) Handle(ctx context.Context, j *job.Job, slot poller.Slot) {
	h.runner.Handle(ctx, j, slot.ConcurrentID, slot.ConcurrentProjectID)
}

func (h handler) Damaged(ctx context.Context, damaged *job.DamagedError) {
	h.runner.Reject(ctx, damaged)
}

// executor makes the place where e's jobs run.
func (d *daemon) executor(e *entry) (executor.Executor, error) {
	if e.config.Executor == config.ExecutorLocal {
		return local.New(local.Config{Agent: d.agent, Root: localRoot(e.config)}, e.log), nil
	}
	where := connection(e.config.Kubernetes, d.build)
	where.Metrics = d.cluster
	client, err := kubernetes.Connect(where)
	if err != nil {
		return nil, err
	}
	id := kubernetes.Identity{
		SystemID: d.systemID, RunnerName: e.config.Name, ShortToken: gitlab.ShortToken(e.config.Token), GitLabURL: e.config.URL,
		Lease: d.lease(e.config.Kubernetes, client), Claims: d.claims,
	}
	e.pods, err = kubernetes.New(client, id, podConfig(e.config, d.build), e.log)
	return e.pods, err
}

// localRoot is the folder of the local executor: builds_dir, whose default is
// for pods.
func localRoot(r config.Runner) string {
	if r.BuildsDir == defaultBuildsDir {
		return filepath.Join(os.TempDir(), product)
	}
	return r.BuildsDir
}

func (d *daemon) planOptions(r config.Runner) (job.Options, error) {
	ca, err := cacheCA(r)
	if err != nil {
		return job.Options{}, fmt.Errorf("read [runners.cache.s3] ca_file: %w", err)
	}
	api, err := gitlab.APIURL(r.URL)
	if err != nil {
		return job.Options{}, err
	}
	o := planSettings(r, d.build)
	o.CacheCA, o.APIURL = ca, api
	return o, nil
}

// planSettings are what the config contributes to the plans of r's jobs.
func planSettings(r config.Runner, build buildInfo) job.Options {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	o := job.Options{
		Product: product, Version: build.Version, Revision: build.Revision, HostName: host,
		Platform:   runtime.GOOS + "/" + runtime.GOARCH,
		RunnerName: r.Name, RunnerID: r.ID, ShortToken: gitlab.ShortToken(r.Token), Executor: r.Executor,
		UserAgent:    strings.Join([]string{product, build.Version, runtime.GOOS + "/" + runtime.GOARCH}, " "),
		BuildsDir:    r.BuildsDir,
		DefaultImage: r.Kubernetes.Image, Services: configuredServices(r.Kubernetes.Services),
		Environment: environment(r.Environment), FeatureFlags: r.FeatureFlags,
		OutputLimit: int64(r.OutputLimitKiB) << 10, CloneURL: r.CloneURL,
		PreGetSourcesScript: r.PreGetSourcesScript, PostGetSourcesScript: r.PostGetSourcesScript,
		PreBuildScript: r.PreBuildScript, PostBuildScript: r.PostBuildScript,
		CacheCompression:      r.Cache.CompressionLevel,
		ArtifactUploadTimeout: r.Artifact.UploadTimeout.Duration(), ArtifactResponseTimeout: r.Artifact.ResponseHeaderTimeout.Duration(),
		GetSourcesTimeout: r.GetSourcesTimeout.Duration(), DebugTraceDisabled: r.DebugTraceDisabled,
	}
	if r.Executor == config.ExecutorKubernetes {
		p := r.Kubernetes.Proxy
		o.Proxy, o.Hosts = job.Proxy{HTTP: p.HTTPProxy, HTTPS: p.HTTPSProxy, No: p.NoProxyHosts()}, reservedHosts(r)
		o.SharedBuildsDir = sharesBuildsDir(r)
	}
	if r.Executor == config.ExecutorLocal {
		o.BuildsDir, o.SharedBuildsDir = local.BuildsDir(localRoot(r)), true
	}
	return o
}

func environment(list []string) []job.Variable {
	var vars []job.Variable
	for _, pair := range list {
		key, value, _ := strings.Cut(pair, "=")
		vars = append(vars, job.Variable{Key: key, Value: value, Public: true})
	}
	return vars
}

func configuredServices(list []config.ConfiguredService) []job.Service {
	var services []job.Service
	for _, s := range list {
		services = append(services, job.Service{
			Image:   job.Image{Name: s.Name, Entrypoint: s.Entrypoint},
			Aliases: strings.FieldsFunc(s.Alias, func(r rune) bool { return r == ' ' || r == ',' }),
			Command: s.Command, Variables: environment(s.Environment), Configured: true,
		})
	}
	return services
}
