package gitlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/job"
)

const readToken = "glpat-r3adT0ken"

func token(s job.Secret) func() (job.Secret, error) {
	return func() (job.Secret, error) { return s, nil }
}

// ask starts a stand-in and a client that may read there.
func ask(t *testing.T, o standin.Options, c FactsConfig) (*standin.Server, *Facts) {
	t.Helper()
	o.AccessTokens = []string{readToken}
	srv := standin.Start(t, o)
	c.URL = srv.URL()
	return srv, askAt(t, c)
}

func askAt(t *testing.T, c FactsConfig) *Facts {
	t.Helper()
	if c.Token == nil {
		c.Token = token(readToken)
	}
	f, err := NewFacts(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestFactsOfRefs(t *testing.T) {
	srv, f := ask(t, standin.Options{PathPrefix: "/gitlab"}, FactsConfig{})
	p := srv.Project()
	p.ProtectBranch("main")
	p.ProtectBranch("release/*")
	p.ProtectTag("v*")
	p.ProtectTag("both")
	tests := []struct {
		ref, refType string
		want         bool
	}{
		{"main", "branch", true},
		{"main", "tag", false}, // the entry is a branch's
		{"main2", "branch", false},
		{"MAIN", "branch", false},
		{"release/a/b", "branch", true},
		{"release/a/b", "tag", false},
		{"v1", "tag", true},
		{"v1", "branch", false},
		{"both", "tag", true},
		{"both", "branch", false},
		{"refs/merge-requests/7/head", "branch", false},
	}
	for _, tt := range tests {
		got, err := f.RefProtected(t.Context(), p.ID(), tt.ref, tt.refType)
		if err != nil || got != tt.want {
			t.Errorf("%s %q: %v, %v; want %v", tt.refType, tt.ref, got, err, tt.want)
		}
	}
	for _, tt := range []struct{ ref, refType string }{{"main", "commit"}, {"main", ""}, {"", "branch"}} {
		if got, err := f.RefProtected(t.Context(), p.ID(), tt.ref, tt.refType); err == nil || got {
			t.Errorf("%s %q: %v, %v; want an error", tt.refType, tt.ref, got, err)
		}
	}
	p.ProtectBranch("*")
	fresh := askAt(t, FactsConfig{URL: srv.URL()})
	if got, err := fresh.RefProtected(t.Context(), p.ID(), "refs/merge-requests/7/head", "branch"); got || err != nil {
		t.Errorf("merge request where all branches are protected: %v, %v; want false", got, err)
	}
	if n := srv.Requests(standin.ReadFacts); n != 2 {
		t.Errorf("%d requests, want one for each list", n)
	}
}

func TestFactsOfEnvironments(t *testing.T) {
	srv, f := ask(t, standin.Options{}, FactsConfig{})
	p := srv.Project()
	p.ProtectEnvironment("production")
	p.ProtectEnvironment("prod/*")
	p.ProtectBranch("staging")
	for name, want := range map[string]bool{
		"production": true, "prod/eu/1": true, "Production": false, "staging": false, "production2": false,
	} {
		if got, err := f.EnvironmentProtected(t.Context(), p.ID(), name); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", name, got, err, want)
		}
	}
	if got, err := f.EnvironmentProtected(t.Context(), p.ID(), ""); err == nil || got {
		t.Errorf("no name: %v, %v; want an error", got, err)
	}
}

func TestNoProtectedEnvironmentsInThisEdition(t *testing.T) {
	srv, f := ask(t, standin.Options{NoProtectedEnvironments: true}, FactsConfig{})
	yes, err := f.EnvironmentProtected(t.Context(), srv.Project().ID(), "production")
	if err == nil || yes || !strings.Contains(err.Error(), "GitLab Premium") {
		t.Errorf("%v, %v; want an error that names the edition", yes, err)
	}
	yes, err = f.EnvironmentProtected(t.Context(), 12345, "production")
	if err == nil || yes || strings.Contains(err.Error(), "Premium") {
		t.Errorf("a project that cannot be read: %v, %v; want an error that does not guess", yes, err)
	}
	srv.Inject(standin.Fault{Endpoint: standin.ReadFacts, Status: 403, Body: `{"message": "no license"}`})
	if _, err := f.EnvironmentProtected(t.Context(), srv.Project().ID(), "production"); err == nil || !strings.Contains(err.Error(), "GitLab Premium") {
		t.Errorf("403: %v; want an error that names the edition", err)
	}
}

func TestFactsOfAJob(t *testing.T) {
	srv, f := ask(t, standin.Options{}, FactsConfig{})
	p := srv.Project()
	j := srv.AddJob(standin.JobSpec{
		Name: "deploy", Stage: "release", Ref: "v1", RefType: "tag", Tags: []string{"prod", "linux"}, User: "ann", UserID: 9,
	})
	got, err := f.Job(t.Context(), p.ID(), j.ID())
	want := JobFacts{Tags: []string{"prod", "linux"}, UserLogin: "ann"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := f.Job(t.Context(), p.ID(), j.ID()+1000); err == nil || !strings.Contains(err.Error(), "Reporter") {
		t.Errorf("no such job: %v; want an error that names the role", err)
	}
}

func TestOnlyADeploymentDeploys(t *testing.T) {
	srv, f := ask(t, standin.Options{}, FactsConfig{})
	p := srv.Project()
	deploys := srv.AddJob(standin.JobSpec{Environment: "production"})
	pretends := srv.AddJob(standin.JobSpec{Variables: []standin.Variable{{Key: "CI_ENVIRONMENT_NAME", Value: "production"}}})
	tests := []struct {
		job         *standin.Job
		environment string
		want        bool
	}{
		{deploys, "production", true},
		{deploys, "Production", false},
		{deploys, "staging", false},
		{pretends, "production", false},
	}
	for _, tt := range tests {
		got, err := f.DeploysTo(t.Context(), p.ID(), tt.job.ID(), tt.environment)
		if err != nil || got != tt.want {
			t.Errorf("job %d to %q: %v, %v; want %v", tt.job.ID(), tt.environment, got, err, tt.want)
		}
	}
	if got, err := f.DeploysTo(t.Context(), p.ID(), deploys.ID(), ""); err == nil || got {
		t.Errorf("no environment: %v, %v; want an error", got, err)
	}
}

func TestALongListIsReadToItsEnd(t *testing.T) {
	srv, f := ask(t, standin.Options{PathPrefix: "/gitlab"}, FactsConfig{})
	for i := range 250 {
		srv.Project().ProtectBranch(fmt.Sprint("b", i))
	}
	for _, name := range []string{"b0", "b99", "b100", "b249"} {
		if yes, err := f.RefProtected(t.Context(), srv.Project().ID(), name, "branch"); err != nil || !yes {
			t.Errorf("%s: %v, %v; want true", name, yes, err)
		}
	}
	if n := srv.Requests(standin.ReadFacts); n != 3 {
		t.Errorf("%d requests, want 3 pages", n)
	}
}

func TestAListThatDoesNotEndIsAnError(t *testing.T) {
	h := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Next-Page", "2")
		_, _ = io.WriteString(w, `[{"name": "main"}]`)
	})
	yes, err := askAt(t, FactsConfig{URL: h.URL}).RefProtected(t.Context(), 7, "main", "branch")
	if err == nil || yes || h.count() != maxPages {
		t.Errorf("%v, %v after %d pages; want an error after %d", yes, err, h.count(), maxPages)
	}
}

// What is odd must not turn into "is not protected" or "does not deploy".
func TestOddAnswersAreErrors(t *testing.T) {
	full := "[" + strings.TrimSuffix(strings.Repeat(`{"name": "a", "deployable": {"id": 3}},`, pageSize), ",") + "]"
	for name, body := range map[string]string{
		"a page of HTML": "<html>", "nothing": "", "an object": "{}", "null in the list": "[null]", "text": `"x"`,
		"broken off": `[{"name": "ma`, "far too long": "[" + strings.Repeat(" ", maxPage) + "]", "a full page without headers": full,
	} {
		h := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		f := askAt(t, FactsConfig{URL: h.URL})
		if yes, err := f.RefProtected(t.Context(), 7, "main", "branch"); err == nil || yes {
			t.Errorf("%s: protected: %v, %v; want an error", name, yes, err)
		}
		if yes, err := f.DeploysTo(t.Context(), 7, 42, "production"); err == nil || yes {
			t.Errorf("%s: deploys: %v, %v; want an error", name, yes, err)
		}
	}
	for name, body := range map[string]string{"null": "null", "another job": `{"id": 43, "tag_list": ["prod"]}`, "a list": "[]"} {
		h := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		if got, err := askAt(t, FactsConfig{URL: h.URL}).Job(t.Context(), 7, 42); err == nil {
			t.Errorf("%s: %+v, want an error", name, got)
		}
	}
}

func TestFactsAreRefused(t *testing.T) {
	tests := []struct {
		name  string
		fault standin.Fault
		says  []string
	}{
		{"token unknown", standin.Fault{Status: 401}, []string{"401", "not valid (any more)"}},
		{"role too low", standin.Fault{Status: 403}, []string{"403", "read_api", "Maintainer"}},
		{"project hidden", standin.Fault{Status: 404}, []string{"404", "read_api", "Maintainer"}},
		{"broken for long", standin.Fault{Status: 500, Times: -1}, []string{"500"}},
		{"busy for longer than we wait", standin.Fault{Status: 429, RetryAfter: time.Minute}, []string{"429", "retry after 1m0s"}},
		{"elsewhere", standin.Fault{Redirect: "http://localhost.example.com/x"}, []string{"redirected to"}},
		{"cut for long", standin.Fault{Reset: true, Times: -1}, []string{"projects/77/protected_branches"}},
		{"broken off", standin.Fault{Truncate: true, Times: -1}, []string{"read answer"}},
		{"silent", standin.Fault{Delay: time.Minute, Times: -1}, []string{"no answer within 3s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv, f := ask(t, standin.Options{}, FactsConfig{Timeout: 3 * time.Second})
			srv.Project().ProtectBranch("main")
			tt.fault.Endpoint = standin.ReadFacts
			fault := srv.Inject(tt.fault)
			yes, err := f.RefProtected(t.Context(), srv.Project().ID(), "main", "branch")
			if err == nil || yes {
				t.Fatalf("%v, %v; want an error", yes, err)
			}
			for _, want := range append(tt.says, "gitlab: GET /api/v4/projects/77/protected_branches: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), readToken) {
				t.Errorf("error %q shows the token", err)
			}
			fault.Remove()
			if yes, err := f.RefProtected(t.Context(), srv.Project().ID(), "main", "branch"); err != nil || !yes {
				t.Errorf("afterwards: %v, %v; want true: errors are not kept", yes, err)
			}
		})
	}
}

func TestFactsAreAskedAgain(t *testing.T) {
	for name, fault := range map[string]standin.Fault{
		"broken": {Status: 502, Times: 3}, "busy": {Status: 429, RetryAfter: time.Second}, "cut": {Reset: true, Times: 2}, "answer lost": {LoseAnswer: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, f := ask(t, standin.Options{}, FactsConfig{})
			srv.Project().ProtectBranch("main")
			fault.Endpoint = standin.ReadFacts
			hit := srv.Inject(fault)
			if yes, err := f.RefProtected(t.Context(), srv.Project().ID(), "main", "branch"); err != nil || !yes || hit.Hits() == 0 {
				t.Errorf("%v, %v after %d faults; want true", yes, err, hit.Hits())
			}
		})
	}
}

func TestTokenIsReadForEachQuestion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	srv, f := ask(t, standin.Options{}, FactsConfig{Token: func() (job.Secret, error) {
		text, err := os.ReadFile(file)
		return job.Secret(text), err
	}})
	j := srv.AddJob(standin.JobSpec{})
	asked := func() error {
		_, err := f.Job(t.Context(), srv.Project().ID(), j.ID())
		return err
	}
	if err := asked(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	write(" \n")
	if err := asked(); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty file: %v", err)
	}
	write(readToken + "\n")
	if err := asked(); err != nil {
		t.Errorf("a token with the line's end: %v", err)
	}
	srv.SetAccessTokens("glpat-next")
	if err := asked(); err == nil || !strings.Contains(err.Error(), "not valid (any more)") {
		t.Errorf("a token that is replaced in GitLab: %v", err)
	}
	write("glpat-next")
	if err := asked(); err != nil {
		t.Errorf("a token that is replaced in the file, too: %v", err)
	}
}

func TestErrorsDoNotShowTheToken(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"message": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "bad "+r.Header.Get(privateToken), http.StatusForbidden)
		},
		"location": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://x.example.com/"+r.Header.Get(privateToken))
			w.WriteHeader(http.StatusFound)
		},
		"answer": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"id": 1, "created_at": %q}`, r.Header.Get(privateToken))
		},
		"request": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", r.Header.Get(privateToken))
			w.WriteHeader(http.StatusBadRequest)
		},
	} {
		h := serve(t, handle)
		_, err := askAt(t, FactsConfig{URL: h.URL}).Job(t.Context(), 7, 1)
		if err == nil || strings.Contains(err.Error(), readToken) {
			t.Errorf("%s: %v; want an error without the token", name, err)
		}
		if last := h.last(t); last.Header.Get(privateToken) != readToken || strings.Contains(last.Path+last.Query, readToken) {
			t.Errorf("%s: the token was sent in %+v", name, last)
		}
	}
}

func TestNewFactsChecksItsConfig(t *testing.T) {
	for name, c := range map[string]FactsConfig{
		"no token":  {URL: "https://gitlab.example.com"},
		"no scheme": {URL: "gitlab.example.com", Token: token(readToken)},
		"no CA":     {URL: "https://gitlab.example.com", Token: token(readToken), TLS: TLS{CAFile: "/nonexistent"}},
	} {
		if _, err := NewFacts(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAskingAboutManyThingsAtOnce(t *testing.T) {
	srv, f := ask(t, standin.Options{}, FactsConfig{CacheFor: time.Nanosecond})
	srv.Project().ProtectBranch("main")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 40)
	for i := range cap(done) {
		go func() {
			if i%4 == 0 {
				_, _ = f.RefProtected(ctx, srv.Project().ID(), "main", "tag") // some of these are cancelled
				done <- nil
				return
			}
			yes, err := f.RefProtected(t.Context(), srv.Project().ID(), "main", "branch")
			if err == nil && !yes {
				err = errors.New("not protected")
			}
			done <- err
		}()
	}
	cancel()
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
