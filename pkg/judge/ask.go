package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

// ask replaces the facts that the rules go by, and that a payload cannot vouch
// for, by what GitLab says. Each question is one goroutine, which writes one
// field. A question without an answer leaves a doubt.
func (j *Judge) ask(ctx context.Context, jb *job.Job, f *policy.Facts) {
	needs := j.Rules.Needs()
	if j.GitLab == nil || needs == (policy.Needs{}) {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(j.Patience, defaultPatience), errors.New("its time is up"))
	defer cancel()
	var asking sync.WaitGroup
	defer asking.Wait()
	// What the payload itself calls unprotected needs no further word.
	if needs.Protected && f.Protected.Value != job.False {
		kind, name := f.RefName()
		asking.Go(func() { f.Protected = j.refProtected(ctx, jb.ProjectID, kind, name) })
	}
	if needs.Tags || needs.User {
		asking.Go(func() { j.askJob(ctx, jb, f) })
	}
	if needs.Environment || needs.EnvironmentProtected {
		asking.Go(func() { j.askEnvironment(ctx, jb, f, needs.EnvironmentProtected) })
	}
}

const defaultPatience = 10 * time.Second

func (j *Judge) refProtected(ctx context.Context, projectID int64, kind, name string) policy.Flag {
	if kind == policy.KindMergeRequest {
		return policy.FlagOf(false) // GitLab protects branches and tags
	}
	protected, err := j.GitLab.RefProtected(ctx, projectID, name, kind)
	if err != nil {
		return policy.Doubtful(unanswered(err))
	}
	return policy.FlagOf(protected)
}

func (j *Judge) askJob(ctx context.Context, jb *job.Job, f *policy.Facts) {
	tags, user, err := j.GitLab.Job(ctx, jb.ProjectID, jb.ID)
	if err != nil {
		f.User = policy.Uncertain(unanswered(err))
		return
	}
	f.Tags, f.TagsKnown = tags, true
	f.User = policy.Certain(user)
	if user == "" {
		f.User = policy.Uncertain("GitLab does not know the user any more")
	}
}

// maxEnvironments bounds how many names a job may claim to deploy to.
const maxEnvironments = 4

// askEnvironment finds out which of the environments that the payload names is
// the job's: none, if GitLab knows no such deployment.
func (j *Judge) askEnvironment(ctx context.Context, jb *job.Job, f *policy.Facts, protection bool) {
	var found string
	asked := 0
	for _, name := range f.Environment.Values {
		if name == "" || found != "" {
			continue
		}
		if asked++; asked > maxEnvironments {
			f.Environment = policy.Uncertain(fmt.Sprintf("the job names more than %d environments", maxEnvironments))
			return
		}
		deploys, err := j.GitLab.DeploysTo(ctx, jb.ProjectID, jb.ID, name)
		if err != nil {
			f.Environment = policy.Uncertain(unanswered(err))
			f.EnvironmentProtected = policy.Doubtful(unanswered(err))
			return
		}
		if deploys {
			found = name
		}
	}
	if found != "" || asked == 0 {
		f.Environment = policy.Certain(found)
	} else {
		// A job can have an environment, and its secrets, without deploying to it
		// (action: access, prepare, verify, stop).
		f.Environment.Doubt += "; GitLab knows no deployment of this job"
	}
	if protection {
		f.EnvironmentProtected = j.environmentProtected(ctx, jb.ProjectID, f.Environment)
	}
}

// environmentProtected asks about every environment that may be the job's.
func (j *Judge) environmentProtected(ctx context.Context, projectID int64, environment policy.Text) policy.Flag {
	for _, name := range environment.Values {
		if name == "" {
			continue
		}
		protected, err := j.GitLab.EnvironmentProtected(ctx, projectID, name)
		switch {
		case err != nil:
			return policy.Doubtful(unanswered(err))
		case protected && len(environment.Values) == 1:
			return policy.FlagOf(true)
		case protected:
			return policy.Doubtful(environment.Doubt)
		}
	}
	return policy.FlagOf(false)
}

func unanswered(err error) string { return fmt.Sprintf("GitLab was asked and did not answer: %v", err) }
