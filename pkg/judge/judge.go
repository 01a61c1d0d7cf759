// Package judge comes to a verdict on a job: it gathers the facts, asks GitLab
// and the registries for those that the payload does not hold, lets package
// policy decide, and writes the decision down, as one audit line, one count and,
// where wanted, one event.
//
// Whatever cannot be found out counts against the job.
package judge

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

// GitLab answers what only GitLab itself can tell. It is safe for concurrent
// use, bounds each question in time, and does not answer from memory for long.
type GitLab interface {
	// RefProtected reports whether the branch or tag is protected.
	RefProtected(ctx context.Context, projectID int64, name, kind string) (bool, error)
	EnvironmentProtected(ctx context.Context, projectID int64, environment string) (bool, error)
	// DeploysTo reports whether the job is a deployment to the environment.
	DeploysTo(ctx context.Context, projectID, jobID int64, environment string) (bool, error)
	// Job returns the job's tags, and the login of whoever started it.
	Job(ctx context.Context, projectID, jobID int64) (tags []string, user string, err error)
}

// A Registry knows images. It is safe for concurrent use and bounds each
// question in time.
type Registry interface {
	// Resolve returns the digest that an image's tag stands for now. A
	// *job.Failure among its errors says how the job ends.
	Resolve(ctx context.Context, image string, credentials []job.Credential) (digest string, err error)
	// Signed returns by which key the digest of image is signed, of those that
	// the demand wants; the error says what there is instead.
	Signed(ctx context.Context, image, digest string, credentials []job.Credential, demand int) (key string, err error)
}

// A Recorder writes a decision down where the cluster's own tools show it.
type Recorder interface {
	// Record bounds itself in time.
	Record(ctx context.Context, plan *job.Plan, d policy.Decision) error
}

// Options are what a Judge works with. Rules and Log are needed.
type Options struct {
	Rules       *policy.Rules
	GitLab      GitLab        // nil: nobody is asked
	Registry    Registry      // needed when the rules pin images or want signatures
	Recorder    Recorder      // nil: no events
	NetworkTier string        // of jobs that no rule gives another; "": pods get no label
	Patience    time.Duration // for all questions about one job to GitLab; 0 means 10 s
	Log         *zap.Logger

	// Count is told of each decision; nil counts nothing.
	Count func(outcome, rule string, took time.Duration)
}

// A Judge judges the jobs of one runner entry. It is safe for concurrent use.
type Judge struct {
	Options
	recording sync.WaitGroup
}

// New returns a Judge. It starts nothing.
func New(o Options) *Judge { return &Judge{Options: o} }

// Wait blocks until the decisions of all judged jobs are written down.
func (j *Judge) Wait() { j.recording.Wait() }

// A Verdict is a decision and what it stands on.
type Verdict struct {
	policy.Decision
	Facts policy.Facts
	Notes []string // for the job's log: what its images are
}

// Judge decides about a job and makes its plan what the decision says: where the
// pod goes, and which digests it runs. An error says that an image cannot be
// found out about, and is a *job.Failure; or that ctx has ended, and is its cause.
func (j *Judge) Judge(ctx context.Context, jb *job.Job, plan *job.Plan) (Verdict, error) {
	began := time.Now()
	v := Verdict{Facts: policy.FactsOf(jb, plan)}
	j.ask(ctx, jb, &v.Facts)
	err := j.decide(ctx, plan, &v)
	if ctx.Err() != nil {
		return v, context.Cause(ctx)
	}
	if err != nil {
		j.write(ctx, jb, plan, v, time.Since(began))
		return v, failure(err)
	}
	if !v.Denied() {
		j.shape(plan, v)
	}
	j.write(ctx, jb, plan, v, time.Since(began))
	return v, nil
}

// decide looks images up only when nothing speaks against them so far: a denied
// job makes no registry talk.
func (j *Judge) decide(ctx context.Context, plan *job.Plan, v *Verdict) error {
	v.Decision = j.Rules.Screen(v.Facts)
	if v.Action == policy.Deny {
		return nil
	}
	if err := j.resolve(ctx, plan, v); err != nil {
		return err
	}
	v.Decision = j.Rules.Decide(v.Facts)
	if v.Action == policy.Deny {
		return nil
	}
	return j.checkSignatures(ctx, plan, v)
}

func (j *Judge) shape(plan *job.Plan, v Verdict) {
	plan.Placement = v.Placement
	if plan.Placement.NetworkTier == "" {
		plan.Placement.NetworkTier = j.NetworkTier
	}
	for _, im := range v.Facts.Images() {
		if im.Digest == "" {
			continue
		}
		target := &plan.Image
		if im.Service != policy.Build {
			target = &plan.Services[im.Service].Image
		}
		target.Pinned = im.Reference()
	}
}

// Admit judges the images that the pod of a job has which v has let through. What
// it denies is written down as v was.
func (j *Judge) Admit(ctx context.Context, jb *job.Job, plan *job.Plan, v Verdict, containers []executor.Container) policy.Decision {
	began := time.Now()
	ran := make([]policy.Ran, len(containers))
	for i, c := range containers {
		ran[i] = policy.Ran{Service: c.Service, Image: c.Image}
	}
	v.Decision = j.Rules.DecidePod(v.Facts, ran)
	if v.Action == policy.Deny {
		j.write(ctx, jb, plan, v, time.Since(began))
	}
	return v.Decision
}

// failure makes err one that says how the job ends.
func failure(err error) error {
	if f := new(job.Failure); errors.As(err, &f) {
		return err
	}
	return job.Failf(job.RunnerSystemFailure, "%v", err)
}
