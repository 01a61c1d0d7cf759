package standin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/internal/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A raw client speaks the runner API by hand. Without a transport it calls the
// server's handler directly, so that it works in a synctest bubble.
type raw struct {
	t      *testing.T
	srv    *standin.Server
	runner *standin.Runner
	http   *http.Client // nil: call the handler
	from   string       // address of the client, when the handler is called
	logs   map[*standin.Job][]byte
}

func newRaw(t *testing.T, o standin.Options) *raw {
	t.Helper()
	srv := standin.New(o)
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &raw{t: t, srv: srv, runner: srv.AddRunner(standin.RunnerSpec{Limit: 0}), logs: map[*standin.Job][]byte{}}
}

// newNetworked is newRaw over TCP, with a client of its own.
func newNetworked(t *testing.T, o standin.Options) *raw {
	t.Helper()
	srv := standin.Start(t, o)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &raw{t: t, srv: srv, runner: srv.AddRunner(standin.RunnerSpec{}), http: c, logs: map[*standin.Job][]byte{}}
}

type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // the connection was cut
}

var features = map[string]bool{
	"fallback_cache_keys": true, "upload_multiple_artifacts": true, "refspecs": true, "artifacts_exclude": true,
	"multi_build_steps": true, "return_exit_code": true, "cancel_gracefully": true, "two_phase_job_commit": true,
}

const systemID = "r_0123456789ab"

func info() map[string]any {
	return map[string]any{"name": "test", "version": "1.0.0", "features": features}
}

// header is one change to a request.
type header struct{ key, value string }

func (c *raw) do(method, path string, body []byte, headers ...header) reply {
	c.t.Helper()
	target := path
	if !strings.Contains(path, "://") {
		target = c.srv.URL() + "/api/v4" + path
	}
	req, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		c.t.Fatalf("request %s %s: %v", method, path, err)
	}
	req.RemoteAddr = c.from
	req.Header.Set("User-Agent", "raw 1.0")
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		if h.value == "" {
			req.Header.Del(h.key)
			continue
		}
		req.Header.Set(h.key, h.value)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header["User-Agent"] = nil // keeps net/http's own out
	}
	if c.http == nil {
		return c.direct(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, got, err}
}

func (c *raw) direct(req *http.Request) (r reply) {
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			r = reply{err: http.ErrAbortHandler}
		}
	}()
	rec := httptest.NewRecorder()
	req.RequestURI = req.URL.RequestURI()
	req.Host = "gitlab.test"
	c.srv.ServeHTTP(rec, req)
	return reply{status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
}

func (c *raw) json(method, path string, v any, headers ...header) reply {
	c.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		c.t.Fatalf("encode: %v", err)
	}
	return c.do(method, path, b, headers...)
}

// request asks for a job; last is the queue value, "" for none.
func (c *raw) request(last string, headers ...header) reply {
	c.t.Helper()
	body := map[string]any{"token": c.runner.Token(), "system_id": systemID, "info": info()}
	if last != "" {
		body["last_update"] = last
	}
	return c.json("POST", "/jobs/request", body, append([]header{{"RUNNER-TOKEN", c.runner.Token()}}, headers...)...)
}

// take adds a job and gets it handed out.
func (c *raw) take(spec standin.JobSpec) *standin.Job {
	c.t.Helper()
	j := c.srv.AddJob(spec)
	if r := c.request(""); r.status != http.StatusCreated {
		c.t.Fatalf("job request answered %d %s, want 201", r.status, r.body)
	}
	return j
}

// run is take and the acknowledgement.
func (c *raw) run(spec standin.JobSpec) *standin.Job {
	c.t.Helper()
	j := c.take(spec)
	c.want(http.StatusOK, c.put(j, map[string]any{"state": "running"}))
	return j
}

func (c *raw) put(j *standin.Job, fields map[string]any, headers ...header) reply {
	c.t.Helper()
	body := map[string]any{"token": j.Token(), "info": info()}
	maps.Copy(body, fields)
	return c.json("PUT", fmt.Sprintf("/jobs/%d", j.ID()), body, append([]header{{"JOB-TOKEN", j.Token()}}, headers...)...)
}

// final is the body of a correct final update, with changes.
func (c *raw) final(j *standin.Job, state string, changes map[string]any) map[string]any {
	sum := fmt.Sprintf("crc32:%08x", crc32.ChecksumIEEE(c.logs[j]))
	body := map[string]any{"state": state, "output": map[string]any{"checksum": sum, "bytesize": len(c.logs[j])}}
	maps.Copy(body, changes)
	return body
}

func (c *raw) finish(j *standin.Job, state string, changes map[string]any) reply {
	c.t.Helper()
	return c.put(j, c.final(j, state, changes))
}

// patch sends text behind what has been sent.
func (c *raw) patch(j *standin.Job, text string) reply {
	c.t.Helper()
	r := c.patchAt(j, len(c.logs[j]), text)
	if r.status == http.StatusAccepted || r.err != nil {
		c.logs[j] = append(c.logs[j], text...)
	}
	return r
}

func (c *raw) patchAt(j *standin.Job, at int, text string, headers ...header) reply {
	c.t.Helper()
	return c.do("PATCH", fmt.Sprintf("/jobs/%d/trace?debug_trace=false", j.ID()), []byte(text), append([]header{
		{"JOB-TOKEN", j.Token()},
		{"Content-Type", "text/plain"},
		{"Content-Range", fmt.Sprintf("%d-%d", at, at+len(text)-1)},
	}, headers...)...)
}

func (c *raw) want(status int, r reply) reply {
	c.t.Helper()
	if r.err != nil || r.status != status {
		c.t.Fatalf("answered %d %s (%v), want %d", r.status, r.body, r.err, status)
	}
	return r
}

// line is a line of a log with timestamps.
func line(text string) string { return "2026-07-26T09:15:04.123456Z 00O " + text + "\n" }

// points takes the violations and returns their points, sorted, each once.
func points(s *standin.Server) []string {
	var list []string
	for _, v := range s.TakeViolations() {
		list = append(list, v.Point)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// wait is longer than any update interval.
func wait() { time.Sleep(4 * time.Second) } // only within a synctest bubble
