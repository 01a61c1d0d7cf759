package standin_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

func TestFaultsOverTheNetwork(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	reset := c.srv.Inject(standin.Fault{Endpoint: standin.RequestJob, Reset: true, Times: 2})
	for range 2 {
		if r := c.request(""); r.err == nil {
			t.Errorf("answered %d, want a reset connection", r.status)
		}
	}
	if reset.Hits() != 2 {
		t.Errorf("%d hits, want 2", reset.Hits())
	}

	j := c.srv.AddJob(standin.JobSpec{})
	c.srv.Inject(standin.Fault{Endpoint: standin.RequestJob, Truncate: true})
	r := c.request("")
	if r.status != http.StatusCreated || r.err == nil || len(r.body) == 0 {
		t.Errorf("answered %d, %d bytes (%v), want half of a 201", r.status, len(r.body), r.err)
	}
	if j.State() != standin.Running {
		t.Errorf("job is %s: a 201 that arrives damaged still hands it out", j.State())
	}
	c.want(http.StatusOK, c.finish(j, "failed", map[string]any{"failure_reason": "runner_system_failure"}))

	j = c.run(standin.JobSpec{})
	c.srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, LoseAnswer: true})
	if r := c.patchAt(j, 0, line("x")); r.err == nil {
		t.Errorf("answered %d, want a cut connection", r.status)
	}
	if string(j.Log()) != line("x") {
		t.Errorf("log is %q: the answer is lost, not the request", j.Log())
	}
	r = c.want(http.StatusRequestedRangeNotSatisfiable, c.patchAt(j, 0, line("x")))
	if got := r.header.Get("Range"); got != "0-34" {
		t.Errorf("Range is %q, want 0-34", got)
	}
}

func TestFaultsAreChosen(t *testing.T) {
	c := newRaw(t, standin.Options{})
	j := c.run(standin.JobSpec{})
	c.srv.Inject(standin.Fault{Endpoint: standin.UpdateJob, State: "success", Status: 502, Job: j.ID(), Skip: 1})
	c.want(200, c.put(j, map[string]any{"state": "running"}))
	lasting := c.srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, Status: 500, Times: -1})
	for range 3 {
		c.want(500, c.patch(j, line("x")))
	}
	lasting.Remove()
	c.want(202, c.patch(j, line("x")))
	c.srv.Inject(standin.Fault{Endpoint: standin.UpdateJob, Status: 409, JobStatus: "running", Body: "<html>"})
	r := c.want(409, c.put(j, map[string]any{"state": "running"}))
	if string(r.body) != "<html>" || r.header.Get("Job-Status") != "running" {
		t.Errorf("answered %q, Job-Status %q", r.body, r.header.Get("Job-Status"))
	}
	c.want(200, c.finish(j, "success", nil))
}

func TestMaintenance(t *testing.T) {
	c := newRaw(t, standin.Options{})
	c.srv.SetMaintenance(true)
	r := c.want(http.StatusTooManyRequests, c.request(""))
	if r.header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After is %q, want 60", r.header.Get("Retry-After"))
	}
	c.srv.SetMaintenance(false)
	c.want(http.StatusNoContent, c.request(""))
}

func TestRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{JobRate: 3})
		j := c.run(standin.JobSpec{})
		running := map[string]any{"state": "running"}
		c.want(200, c.put(j, running))
		c.want(200, c.put(j, running))
		time.Sleep(10 * time.Second)
		r := c.want(429, c.put(j, running))
		if got := r.header.Get("Retry-After"); got != "50" {
			t.Errorf("Retry-After is %q, want 50", got)
		}
		c.want(202, c.patch(j, line("has its own count")))
		time.Sleep(50 * time.Second)
		c.want(200, c.put(j, running))
		if got := points(c.srv); got != nil {
			t.Errorf("violations: %v", got)
		}
	})
}

func TestTLSOfAPrivateCA(t *testing.T) {
	c := newNetworked(t, standin.Options{TLS: true})
	if r := c.request(""); r.err == nil {
		t.Errorf("answered %d to a client that does not know the CA", r.status)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(c.srv.CACertificate()) {
		t.Fatal("CACertificate is not PEM")
	}
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	c.want(http.StatusNoContent, c.request(""))
}

func TestPathPrefix(t *testing.T) {
	c := newNetworked(t, standin.Options{PathPrefix: "/gitlab", Allow: []string{"14"}})
	c.want(http.StatusNoContent, c.request(""))
	c.want(http.StatusNotFound, c.do("POST", "http://"+c.srv.URL()[len("http://"):len(c.srv.URL())-len("/gitlab")]+"/api/v4/jobs/request", nil))
}
