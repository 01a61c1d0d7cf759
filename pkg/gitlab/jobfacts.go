package gitlab

import (
	"context"
	"fmt"
	"slices"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"
)

// JobFacts are what GitLab itself says of a job.
type JobFacts struct {
	Tags      []string // in GitLab's order
	UserLogin string   // of whoever started the job; "" for a user that is gone
}

// Job returns what GitLab says of a job. Nothing of it is kept.
func (f *Facts) Job(ctx context.Context, projectID, jobID int64) (JobFacts, error) {
	j, err := f.job(ctx, projectID, jobID)
	if err != nil {
		return JobFacts{}, err
	}
	facts := JobFacts{Tags: j.TagList}
	if j.User != nil {
		facts.UserLogin = j.User.Username
	}
	return facts, nil
}

func (f *Facts) job(ctx context.Context, projectID, jobID int64) (*api.Job, error) {
	ctx, cancel := f.limit(ctx)
	defer cancel()
	q, err := f.question(ctx, "Reporter", fmt.Sprintf("projects/%d/jobs/%d", projectID, jobID))
	if err != nil {
		return nil, err
	}
	j, resp, err := f.api.Jobs.GetJob(projectID, jobID, q.options...)
	if err != nil {
		return nil, q.failed(resp, err)
	}
	if j == nil || j.ID != jobID {
		return nil, fmt.Errorf("gitlab: %s: the answer is not about this job", q.op)
	}
	return j, nil
}

// deployedAfter is how long before its deployment a job may have been made
// according to clocks that differ.
const deployedAfter = time.Hour

// DeploysTo reports whether a job is a deployment to an environment. A job that
// names an environment without deploying to it (action: stop, verify, …) is
// none. Nothing of it is kept.
//
// The environment's deployments are looked through from the newest to those
// that are older than the job.
func (f *Facts) DeploysTo(ctx context.Context, projectID, jobID int64, environment string) (bool, error) {
	if environment == "" {
		return false, fmt.Errorf("gitlab: project %d: does job %d deploy: the environment's name is empty", projectID, jobID)
	}
	ctx, cancel := f.limit(ctx)
	defer cancel()
	q, err := f.question(ctx, "Reporter", fmt.Sprintf("projects/%d/deployments", projectID))
	if err != nil {
		return false, err
	}
	options := &api.ListProjectDeploymentsOptions{
		ListOptions: api.ListOptions{PerPage: pageSize},
		OrderBy:     new("id"), Sort: new("desc"), Environment: &environment,
	}
	var since time.Time // known once there is a second page
	for page, err := range pages(q, func(o ...api.RequestOptionFunc) ([]*api.Deployment, *api.Response, error) {
		return f.api.Deployments.ListProjectDeployments(projectID, options, o...)
	}) {
		switch {
		case err != nil:
			return false, err
		case slices.ContainsFunc(page, func(d *api.Deployment) bool { return isDeployment(d, jobID, environment) }):
			return true, nil
		case len(page) < pageSize:
			continue
		}
		if since.IsZero() {
			if since, err = f.made(ctx, projectID, jobID); err != nil {
				return false, err
			}
		}
		if last := page[len(page)-1].CreatedAt; last != nil && last.Before(since.Add(-deployedAfter)) {
			return false, nil
		}
	}
	return false, nil
}

// made returns when GitLab made the job.
func (f *Facts) made(ctx context.Context, projectID, jobID int64) (time.Time, error) {
	j, err := f.job(ctx, projectID, jobID)
	switch {
	case err != nil:
		return time.Time{}, err
	case j.CreatedAt == nil:
		return time.Time{}, fmt.Errorf("gitlab: project %d: GitLab does not say when job %d was made", projectID, jobID)
	}
	return *j.CreatedAt, nil
}

// isDeployment looks at the environment as well: the filter is only a request.
func isDeployment(d *api.Deployment, jobID int64, environment string) bool {
	return d.Deployable.ID == jobID && d.Environment != nil && d.Environment.Name == environment
}
