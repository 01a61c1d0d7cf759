package standin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

var reader = header{"PRIVATE-TOKEN", "glpat-x"}

// read gets a list about the project of jobs without a repository.
func (c *raw) read(path string) reply {
	c.t.Helper()
	return c.do("GET", fmt.Sprintf("/projects/%d%s", c.srv.Project().ID(), path), nil, reader)
}

// field returns one field of each entry of a list.
func (c *raw) field(r reply, key string) []string {
	c.t.Helper()
	var list []map[string]any
	if err := json.Unmarshal(c.want(http.StatusOK, r).body, &list); err != nil {
		c.t.Fatalf("answer %s: %v", r.body, err)
	}
	values := []string{}
	for _, entry := range list {
		values = append(values, fmt.Sprint(entry[key]))
	}
	return values
}

func TestProtectedThings(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}})
	p := c.srv.Project()
	for _, tt := range []struct {
		path               string
		protect, unprotect func(string)
	}{
		{"/protected_branches", p.ProtectBranch, p.UnprotectBranch},
		{"/protected_tags", p.ProtectTag, p.UnprotectTag},
		{"/protected_environments", p.ProtectEnvironment, p.UnprotectEnvironment},
	} {
		tt.protect("one")
		tt.protect("two/*")
		tt.protect("one") // is already
		if diff := cmp.Diff([]string{"one", "two/*"}, c.field(c.read(tt.path), "name")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.path, diff)
		}
		tt.unprotect("one")
		tt.unprotect("two/*")
		if got := string(c.want(200, c.read(tt.path)).body); got != "[]" {
			t.Errorf("%s: %s, want an empty list", tt.path, got)
		}
	}
}

func TestEachRepositoryIsAProject(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}})
	repo, err := c.srv.AddRepository("group/one", map[string]string{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	repo.ProtectBranch("main")
	j := c.srv.AddJob(standin.JobSpec{Repository: repo})
	if j.ProjectID() != repo.ID() || repo.ID() == c.srv.Project().ID() {
		t.Errorf("job is in project %d, repository is %d, the project without is %d", j.ProjectID(), repo.ID(), c.srv.Project().ID())
	}
	for id, want := range map[int64][]string{repo.ID(): {"main"}, c.srv.Project().ID(): {}} {
		got := c.field(c.do("GET", fmt.Sprintf("/projects/%d/protected_branches", id), nil, reader), "name")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("project %d (-want +got):\n%s", id, diff)
		}
	}
	c.want(200, c.do("GET", fmt.Sprintf("/projects/%d/jobs/%d", repo.ID(), j.ID()), nil, reader))
	c.want(404, c.read(fmt.Sprintf("/jobs/%d", j.ID())))
}

func TestPagesOfALongList(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}, PathPrefix: "/gitlab"})
	for i := range 25 {
		c.srv.Project().ProtectTag(fmt.Sprint("v", i))
	}
	for _, tt := range []struct {
		query, page, per, next, prev string
		entries                      int
	}{
		{"", "1", "20", "2", "", 20},
		{"?page=2", "2", "20", "", "1", 5},
		{"?page=3", "3", "20", "", "2", 0},
		{"?per_page=500", "1", "100", "", "", 25},
		{"?per_page=5&page=5", "5", "5", "", "4", 5},
	} {
		r := c.read("/protected_tags" + tt.query)
		got := []string{r.header.Get("X-Page"), r.header.Get("X-Per-Page"), r.header.Get("X-Next-Page"), r.header.Get("X-Prev-Page"), r.header.Get("X-Total")}
		if diff := cmp.Diff([]string{tt.page, tt.per, tt.next, tt.prev, "25"}, got); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", tt.query, diff)
		}
		if n := len(c.field(r, "name")); n != tt.entries {
			t.Errorf("%s: %d entries, want %d", tt.query, n, tt.entries)
		}
	}
	c.want(400, c.read("/protected_tags?page=x"))
	c.want(400, c.read("/protected_tags?per_page=0"))
}

func TestWhoMayRead(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}, NoProtectedEnvironments: true})
	const path = "/projects/77/protected_branches"
	c.want(401, c.do("GET", path, nil))
	c.want(401, c.do("GET", path, nil, header{"PRIVATE-TOKEN", "glpat-y"}))
	c.want(404, c.do("GET", "/projects/78/protected_branches", nil, reader))
	c.want(404, c.read("/protected_environments"))
	c.want(404, c.read("/jobs/1"))
	c.srv.SetAccessTokens("glpat-y")
	c.want(401, c.do("GET", path, nil, reader))
	c.want(200, c.do("GET", path, nil, header{"PRIVATE-TOKEN", "glpat-y"}))
	if got := points(c.srv); got != nil {
		t.Errorf("violations: %v", got)
	}
}

func TestReadingWrongly(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}})
	tests := []struct {
		name, method, path string
		headers            []header
		point              string
	}{
		{"token in the query", "GET", "/projects/77/protected_branches?private_token=glpat-x", nil, "14.4"},
		{"unknown token in the query", "GET", "/projects/77/protected_branches?private_token=what", nil, "14.4"},
		{"token in another parameter", "GET", "/projects/77/protected_branches?search=glpat-x", []header{reader}, "14.4"},
		{"token in the path", "GET", "/projects/glpat-x/protected_branches", []header{reader}, "14.4"},
		{"runner token beside it", "GET", "/projects/77/protected_tags", []header{reader, {"RUNNER-TOKEN", "x"}}, "14.4"},
		{"job token beside it", "GET", "/projects/77/deployments", []header{reader, {"JOB-TOKEN", "x"}}, "14.4"},
		{"writing", "POST", "/projects/77/protected_branches", []header{reader}, "14"},
		{"an endpoint that is not there", "GET", "/projects/77/variables", []header{reader}, "14"},
		{"no product", "GET", "/projects/77/protected_branches", []header{reader, {"User-Agent", ""}}, "14.36"},
	}
	for _, tt := range tests {
		c.do(tt.method, tt.path, nil, tt.headers...)
		if diff := cmp.Diff([]string{tt.point}, points(c.srv)); diff != "" {
			t.Errorf("%s: violations (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestJobAsItIsRead(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}})
	j := c.srv.AddJob(standin.JobSpec{
		Name: "deploy", Stage: "release", Ref: "v1", RefType: "tag", Tags: []string{"linux", "prod"}, User: "ann", UserID: 9, Source: "web",
	})
	var got struct {
		ID      int64
		Name    string
		Stage   string
		Ref     string
		Tag     bool
		TagList []string `json:"tag_list"`
		User    struct {
			ID       int64
			Username string
		}
		Pipeline struct{ Source string }
	}
	if err := json.Unmarshal(c.want(200, c.read(fmt.Sprintf("/jobs/%d", j.ID()))).body, &got); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", got); text != fmt.Sprintf("{ID:%d Name:deploy Stage:release Ref:v1 Tag:true TagList:[linux prod] User:{ID:9 Username:ann} Pipeline:{Source:web}}", j.ID()) {
		t.Errorf("read %s", text)
	}
}

func TestDeployments(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}})
	for _, e := range []string{"prod", "", "staging", "prod"} {
		c.srv.AddJob(standin.JobSpec{Name: "to " + e, Environment: e})
	}
	ids := c.field(c.read("/deployments"), "id")
	if len(ids) != 3 {
		t.Fatalf("deployments %v, want one for each job with an environment", ids)
	}
	newest := slices.Clone(ids)
	slices.Reverse(newest)
	for query, want := range map[string][]string{
		"?sort=desc": {newest[0], newest[1], newest[2]},
		"?environment=prod&order_by=id&sort=desc":   {newest[0], newest[2]},
		"?environment=staging&order_by=created_at":  {newest[1]},
		"?environment=PROD":                         {},
		"?environment=prod&sort=desc&per_page=1":    {newest[0]},
		"?environment=&order_by=id&sort=desc&page=": {},
	} {
		if diff := cmp.Diff(want, c.field(c.read("/deployments"+query), "id")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	c.want(400, c.read("/deployments?order_by=color"))
	c.want(400, c.read("/deployments?sort=up"))
}

func TestPayloadOfADeployment(t *testing.T) {
	c := newRaw(t, standin.Options{})
	j := c.take(standin.JobSpec{
		Environment: "Review/one", User: "ann", UserID: 9, Source: "schedule",
		Variables: []standin.Variable{{Key: "CI_ENVIRONMENT_NAME", Value: "production"}},
	})
	var p struct {
		JobInfo struct {
			UserID int64 `json:"user_id"`
		} `json:"job_info"`
		Variables []standin.Variable
	}
	if err := json.Unmarshal(j.Payload(), &p); err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for _, v := range p.Variables {
		said[v.Key] = append(said[v.Key], v.Value)
	}
	for key, want := range map[string][]string{
		"CI_ENVIRONMENT_NAME": {"Review/one", "production"}, "CI_ENVIRONMENT_SLUG": {"review-one"},
		"CI_PIPELINE_SOURCE": {"schedule"}, "GITLAB_USER_LOGIN": {"ann"}, "GITLAB_USER_ID": {"9"},
	} {
		if diff := cmp.Diff(want, said[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	last := p.Variables[len(p.Variables)-3:]
	if last[0].Key != "CI_ENVIRONMENT_NAME" || last[1].Key != "CI_ENVIRONMENT_SLUG" || p.JobInfo.UserID != 9 {
		t.Errorf("user %d, the last variables are %v; want the environment's at the end of the server's", p.JobInfo.UserID, last)
	}
}

func TestReadingCanBeDownAlone(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}})
	fault := c.srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Status: 503, Times: -1})
	c.want(503, c.read("/protected_branches"))
	c.run(standin.JobSpec{})
	fault.Remove()
	c.want(200, c.read("/protected_branches"))
	if n := c.srv.Requests(standin.ReadFacts); n != 2 {
		t.Errorf("%d requests counted, want 2", n)
	}
}
