package standin

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// readJob answers GET /projects/:id/jobs/:job_id.
func (s *Server) readJob(c *call, p *Project) answer {
	if c.job == nil || c.job.project() != p {
		return refuse(http.StatusNotFound, "Not Found")
	}
	v := c.job.view()
	v["tag_list"] = append([]string{}, c.job.spec.Tags...)
	v["artifacts"] = []any{}
	v["artifacts_expire_at"] = nil
	v["failure_reason"] = c.job.reason
	return jsonAnswer(http.StatusOK, v)
}

// view is a job as it is shown for itself and in its deployment.
func (j *Job) view() map[string]any {
	return map[string]any{
		"id": j.id, "name": j.name(), "stage": j.spec.stage(), "status": j.state,
		"ref": j.spec.ref(), "tag": j.spec.RefType == "tag",
		"coverage": nil, "allow_failure": false, "duration": nil, "queued_duration": nil,
		"created_at": stamp(j.made), "started_at": nil, "finished_at": nil,
		"user":   j.userView(),
		"commit": map[string]any{"id": j.sha, "short_id": j.sha[:min(8, len(j.sha))], "title": "Change"},
		"pipeline": map[string]any{
			"id": j.pipeline, "project_id": j.project().id, "ref": j.spec.ref(), "sha": j.sha,
			"status": "running", "source": j.spec.source(),
		},
		"runner": nil,
	}
}

func (j *Job) userView() map[string]any {
	return map[string]any{"id": j.spec.userID(), "username": j.spec.user(), "name": j.spec.user(), "state": "active"}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// readDeployments answers GET /projects/:id/deployments.
func (s *Server) readDeployments(c *call, p *Project) answer {
	query := c.URL.Query()
	order, sort := orDefault(query.Get("order_by"), "id"), orDefault(query.Get("sort"), "asc")
	switch {
	case !slices.Contains([]string{"id", "iid", "created_at", "updated_at", "finished_at", "ref"}, order):
		return *badRequest("order_by does not have a valid value")
	case sort != "asc" && sort != "desc":
		return *badRequest("sort does not have a valid value")
	case order != "id" && order != "created_at":
		return refuse(http.StatusNotImplemented, "order_by "+order)
	}
	var jobs []*Job
	for _, j := range s.jobs {
		if j.deployment != 0 && j.project() == p && (!query.Has("environment") || query.Get("environment") == j.spec.Environment) {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b *Job) int { return cmp.Compare(a.deployment, b.deployment) })
	if sort == "desc" {
		slices.Reverse(jobs)
	}
	var list []any
	for _, j := range jobs {
		list = append(list, j.deploymentView())
	}
	return s.page(c, list)
}

func (j *Job) deploymentView() map[string]any {
	status := string(j.state)
	switch j.state {
	case Pending:
		status = "created"
	case Canceling:
		status = "running"
	}
	return map[string]any{
		"id": j.deployment, "iid": j.deployment, "ref": j.spec.ref(), "sha": j.sha, "status": status,
		"created_at": stamp(j.made), "updated_at": stamp(j.made), "user": j.userView(),
		"environment": map[string]any{"name": j.spec.Environment, "slug": slug(j.spec.Environment), "external_url": nil},
		"deployable":  j.view(),
	}
}
