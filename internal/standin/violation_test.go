package standin_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

// Each of these clients does one thing wrong, and that is what is recorded.
func TestViolations(t *testing.T) {
	running := map[string]any{"state": "running"}
	tests := []struct {
		name  string
		point string
		opts  standin.Options
		do    func(c *raw)
	}{
		{name: "manager without features", point: "14.1", do: func(c *raw) {
			c.want(200, c.json("POST", "/runners/verify", map[string]any{"token": c.runner.Token(), "system_id": systemID}))
		}},
		{name: "malformed system id", point: "1.2", do: func(c *raw) {
			c.want(200, c.json("POST", "/runners/verify", map[string]any{"token": c.runner.Token(), "system_id": "me", "info": info()}))
		}},
		{name: "runner token in the URL", point: "14.4", do: func(c *raw) {
			c.do("POST", "/runners/verify?token="+c.runner.Token(), nil)
		}},
		{name: "header and body token differ", point: "14.4", do: func(c *raw) {
			c.request("", header{"RUNNER-TOKEN", "glrt-another"})
		}},
		{name: "no runner token header", point: "0A", do: func(c *raw) { c.request("", header{"RUNNER-TOKEN", ""}) }},
		{name: "glrt runner deleted for everybody", point: "1.6", do: func(c *raw) {
			c.want(204, c.json("DELETE", "/runners", map[string]any{"token": c.runner.Token()}))
		}},
		{name: "job request too large", point: "14.5", do: func(c *raw) {
			c.want(413, c.json("POST", "/jobs/request", map[string]any{"token": c.runner.Token(), "x": strings.Repeat("x", 32<<10)}))
		}},
		{name: "job request is no JSON", point: "14.5", do: func(c *raw) { c.want(400, c.do("POST", "/jobs/request", []byte("{"))) }},
		{name: "job request without token", point: "14.5", do: func(c *raw) { c.want(400, c.do("POST", "/jobs/request", []byte("{}"))) }},
		{name: "queue value is not repeated", point: "14.6", opts: standin.Options{RequestConcurrency: 1}, do: func(c *raw) { c.request(""); c.request("") }},
		{name: "invented queue value", point: "14.7", do: func(c *raw) { c.request("invented") }},
		{name: "too many requests at once", point: "14.9", opts: standin.Options{RequestConcurrency: 1}, do: func(c *raw) {
			value := c.request("").header.Get("X-GitLab-Last-Update")
			done := make(chan reply)
			go func() { done <- c.request(value) }()
			synctest.Wait()
			c.request(value)
			<-done
		}},
		{name: "does not wait for Retry-After", point: "14.9", opts: standin.Options{RequestConcurrency: 1}, do: func(c *raw) {
			c.srv.Inject(standin.Fault{Endpoint: standin.RequestJob, Status: 429, RetryAfter: 10 * time.Second})
			c.want(429, c.request(""))
			time.Sleep(5 * time.Second)
			c.request("")
		}},
		{name: "does not wait for RateLimit-ResetTime", point: "14.9", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, Status: 429, ResetAfter: 10 * time.Second})
			c.want(429, c.patch(j, line("x")))
			c.patch(j, line("x"))
		}},
		{name: "more jobs than concurrent", point: "14.10", opts: standin.Options{Concurrent: 1}, do: func(c *raw) {
			c.take(standin.JobSpec{})
			c.take(standin.JobSpec{})
		}},
		{name: "job token missing in the body", point: "14.12", do: func(c *raw) {
			j := c.take(standin.JobSpec{})
			c.want(400, c.put(j, map[string]any{"state": "running", "token": ""}))
		}},
		{name: "token of another job", point: "14.12", do: func(c *raw) {
			j, other := c.run(standin.JobSpec{}), c.run(standin.JobSpec{})
			c.want(403, c.put(j, map[string]any{"state": "running", "token": other.Token()}, header{"JOB-TOKEN", other.Token()}))
		}},
		{name: "log before running", point: "14.13", do: func(c *raw) { c.patch(c.take(standin.JobSpec{}), line("x")) }},
		{name: "success before running", point: "14.13", do: func(c *raw) { c.finish(c.take(standin.JobSpec{}), "success", nil) }},
		{name: "never acknowledged", point: "14.13", opts: standin.Options{TwoPhase: true}, do: func(c *raw) {
			c.take(standin.JobSpec{})
			time.Sleep(3 * time.Minute)
		}},
		{name: "invented state", point: "14.14", do: func(c *raw) {
			c.want(400, c.put(c.run(standin.JobSpec{}), map[string]any{"state": "canceled"}))
		}},
		{name: "goes on after 403", point: "14.15", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			j.ForceCancel()
			c.want(403, c.put(j, running))
			c.want(403, c.put(j, running))
		}},
		{name: "goes on after Job-Status canceled", point: "14.15", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, JobStatus: "canceled"})
			c.patch(j, line("x"))
			c.put(j, running)
		}},
		{name: "goes on after the end", point: "14.15", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.finish(j, "success", nil)
			c.finish(j, "success", nil)
		}},
		{name: "no checksum", point: "14.16", do: func(c *raw) {
			c.put(c.run(standin.JobSpec{}), map[string]any{"state": "success"})
		}},
		{name: "checksum of another log", point: "14.16", do: func(c *raw) {
			c.put(c.run(standin.JobSpec{}), map[string]any{"state": "success", "output": map[string]any{"checksum": "crc32:12345678", "bytesize": 0}})
		}},
		{name: "bytesize of another log", point: "14.16", do: func(c *raw) {
			c.put(c.run(standin.JobSpec{}), map[string]any{"state": "success", "output": map[string]any{"checksum": "crc32:00000000", "bytesize": 1}})
		}},
		{name: "repeats differ", point: "14.17", opts: standin.Options{Handshakes: 1}, do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.want(202, c.finish(j, "success", nil))
			wait()
			c.want(200, c.finish(j, "failed", map[string]any{"failure_reason": "script_failure"}))
		}},
		{name: "repeats without the pause", point: "14.17", opts: standin.Options{Handshakes: 1}, do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.want(202, c.finish(j, "success", nil))
			c.want(200, c.finish(j, "success", nil))
		}},
		{name: "reason that the server does not know", point: "14.18", do: func(c *raw) {
			j := c.run(standin.JobSpec{Mutate: func(p map[string]any) { delete(p, "features") }})
			c.finish(j, "failed", map[string]any{"failure_reason": "runner_configuration_error"})
		}},
		{name: "reason with success", point: "14.18", do: func(c *raw) {
			c.finish(c.run(standin.JobSpec{}), "success", map[string]any{"failure_reason": "script_failure"})
		}},
		{name: "exit code with success", point: "14.19", do: func(c *raw) {
			c.finish(c.run(standin.JobSpec{}), "success", map[string]any{"exit_code": 1})
		}},
		{name: "no keep-alive", point: "14.21", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			time.Sleep(2 * time.Minute)
			c.put(j, running)
		}},
		{name: "no Content-Range", point: "14.22", do: func(c *raw) {
			c.want(400, c.patchAt(c.run(standin.JobSpec{}), 0, line("x"), header{"Content-Range", ""}))
		}},
		{name: "Content-Range and body differ", point: "14.22", do: func(c *raw) {
			c.want(202, c.patchAt(c.run(standin.JobSpec{}), 0, line("x"), header{"Content-Range", "0-99"}))
		}},
		{name: "empty PATCH", point: "14.22", do: func(c *raw) {
			c.patchAt(c.run(standin.JobSpec{}), 0, "", header{"Content-Range", "0-0"})
		}},
		{name: "unprovoked offset", point: "14.23", do: func(c *raw) { c.want(416, c.patchAt(c.run(standin.JobSpec{}), 7, line("x"))) }},
		{name: "goes on elsewhere after 416", point: "14.23", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, LoseAnswer: true})
			c.patchAt(j, 0, line("x"))
			c.want(416, c.patchAt(j, 0, line("x")))
			wait()
			c.want(416, c.patchAt(j, 0, line("x")))
		}},
		{name: "other bytes are sent again", point: "14.23", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, LoseAnswer: true})
			c.patchAt(j, 0, line("x"))
			c.want(416, c.patchAt(j, 0, line("y")))
		}},
		{name: "two requests of a job at once", point: "14.24", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.srv.Inject(standin.Fault{Endpoint: standin.PatchTrace, Delay: time.Second})
			done := make(chan reply)
			go func() { done <- c.patchAt(j, 0, line("x")) }()
			synctest.Wait()
			c.put(j, running)
			<-done
		}},
		{name: "PATCH beyond 1 MiB", point: "14.24", do: func(c *raw) { c.patch(c.run(standin.JobSpec{}), strings.Repeat("x", 1<<20+1)) }},
		{name: "PATCHes without the interval", point: "14.26", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.patch(j, line("x"))
			c.patch(j, line("y"))
			wait()
			c.patch(j, line("z"))
			wait()
			c.patch(j, line("z"))
		}},
		{name: "early PATCH before a keep-alive", point: "14.26", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.patch(j, line("x"))
			c.patch(j, line("y"))
			c.put(j, running)
		}},
		{name: "debug flag missing", point: "14.27", do: func(c *raw) {
			c.patch(c.run(standin.JobSpec{Variables: []standin.Variable{{Key: "CI_DEBUG_TRACE", Value: "true"}}}), line("x"))
		}},
		{name: "masked value in the log", point: "14.28", do: func(c *raw) {
			j := c.run(standin.JobSpec{Variables: []standin.Variable{{Key: "PASSWORD", Value: "hunter22", Masked: true}}})
			const at = "2026-07-26T09:15:04.123456Z "
			c.patch(j, at+"01O hunt\n"+at+"01O+er22\n") // even where a line is continued
			c.finish(j, "success", nil)
		}},
		{name: "job token in the log", point: "14.28", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.patch(j, line(j.Token()))
			c.finish(j, "success", nil)
		}},
		{name: "runner token in the log", point: "14.28", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.patch(j, line(c.runner.Token()))
			c.finish(j, "success", nil)
		}},
		{name: "line without timestamp", point: "14.28", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.patch(j, line("x")+"bare\n")
			c.finish(j, "success", nil)
		}},
		{name: "log ends in the middle of a line", point: "14.28", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.patch(j, strings.TrimSuffix(line("x"), "\n"))
			c.finish(j, "success", nil)
		}},
		{name: "section does not end", point: "14.28", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.patch(j, line("section_start:1769000000:step_script\r\x1b[0KTitle"))
			c.finish(j, "success", nil)
		}},
		{name: "no end after a cancel", point: "14.30", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			j.Cancel()
			for range 11 {
				c.put(j, running)
				time.Sleep(time.Minute)
			}
		}},
		{name: "no User-Agent", point: "14.36", do: func(c *raw) { c.request("", header{"User-Agent", ""}) }},
		{name: "no Accept", point: "14.36", do: func(c *raw) { c.request("", header{"Accept", ""}) }},
		{name: "wrong Content-Type", point: "14.36", do: func(c *raw) {
			c.patchAt(c.run(standin.JobSpec{}), 0, line("x"), header{"Content-Type", "application/octet-stream"})
		}},
		{name: "request id used twice", point: "14.36", do: func(c *raw) {
			r := c.request("", header{"X-Request-Id", "abc"})
			c.request(r.header.Get("X-GitLab-Last-Update"), header{"X-Request-Id", "abc"})
		}},
		{name: "Workhorse's own endpoint", point: "14.35", do: func(c *raw) {
			j := c.run(standin.JobSpec{})
			c.do("POST", fmt.Sprintf("/jobs/%d/artifacts/authorize", j.ID()), nil,
				header{"JOB-TOKEN", j.Token()}, header{"Content-Type", "multipart/form-data; boundary=x"})
		}},
		{name: "invented path", point: "14", do: func(c *raw) { c.want(404, c.do("GET", "/jobs/17/log", nil)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newRaw(t, tt.opts)
				tt.do(c)
				if diff := cmp.Diff([]string{tt.point}, points(c.srv)); diff != "" {
					t.Errorf("violations (-want +got):\n%s", diff)
				}
			})
		})
	}
}
