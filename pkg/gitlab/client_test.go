package gitlab

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A seen is a request as a server got it.
type seen struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// A host answers with handle and keeps the requests.
type host struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

func serve(t *testing.T, handle http.HandlerFunc) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewServer(h.keep(handle))
	t.Cleanup(h.Close)
	return h
}

func (h *host) keep(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.seen = append(h.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()})
		h.mu.Unlock()
		handle(w, r)
	}
}

func (h *host) last(t *testing.T) seen {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.seen) == 0 {
		t.Fatal("no request arrived")
	}
	return h.seen[len(h.seen)-1]
}

func (h *host) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

const secret = "glrt-t1_s3cr3tT0ken"

var who = job.Credentials{ID: 42, Token: "glcbt-jobt0ken"}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.Token, cfg.SystemID = secret, "r_0123456789ab"
	cfg.Info = Info{Name: "runnerd", Version: "1.2.3", Executor: "kubernetes"}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestRequestJobSends(t *testing.T) {
	h := serve(t, status(204, "X-GitLab-Last-Update", "abc"))
	c := client(t, Config{URL: h.URL + "/gitlab/"})
	offer, err := c.RequestJob(t.Context(), "")
	if err != nil || offer.Job != nil || offer.LastUpdate != "abc" {
		t.Fatalf("RequestJob = %+v, %v", offer, err)
	}
	got := h.last(t)
	if got.Path != "/gitlab/api/v4/jobs/request" || got.Query != "" {
		t.Errorf("asked %s?%s", got.Path, got.Query)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json", "Runner-Token": secret,
	} {
		if got.Header.Get(name) != want {
			t.Errorf("header %s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if ua := got.Header.Get("User-Agent"); !strings.HasPrefix(ua, "runnerd 1.2.3 (") {
		t.Errorf("User-Agent: %q", ua)
	}
	if id := got.Header.Get("X-Request-Id"); len(id) != 32 {
		t.Errorf("X-Request-Id: %q, want a UUID without dashes", id)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
		t.Fatal(err)
	}
	if _, there := body["last_update"]; there || body["token"] != secret || body["system_id"] != "r_0123456789ab" {
		t.Errorf("body %s", got.Body)
	}
	features := body["info"].(map[string]any)["features"].(map[string]any)
	if features["cancel_gracefully"] != true || features["vault_secrets"] != nil {
		t.Errorf("features %v", features)
	}

	if _, err := c.RequestJob(t.Context(), "abc"); err != nil {
		t.Fatal(err)
	}
	if got := h.last(t).Body; !strings.Contains(got, `"last_update":"abc"`) {
		t.Errorf("body %s, want last_update", got)
	}
}

func TestRequestJobAnswers(t *testing.T) {
	const whole = `{"id": 7, "token": "t", "job_info": {"name": "unit"}}`
	answer := func(code int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("X-Request-Id", "server-id")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		handle  http.HandlerFunc
		job     string
		damaged bool
		status  int
		message string
	}{
		{name: "job", handle: answer(201, "application/json; charset=utf-8", whole), job: "unit"},
		{name: "no JSON", handle: answer(201, "text/html", "<html>"), message: "is the url that of a GitLab"},
		{name: "damaged", handle: answer(201, "application/json", `{"id": 7, "token": "t", "steps": 5}`), damaged: true},
		{name: "broken off", damaged: true, handle: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answer(201, "application/json", `{"id": 7, "token": "t", "steps": [`)(w, r)
		}},
		{name: "forbidden", handle: answer(403, "application/json", `{"message": "403 Forbidden"}`), status: 403},
		{name: "conflict", handle: answer(409, "application/json", `{"message": {"409 Conflict": ["x"]}}`), status: 409},
		{name: "proxy", handle: answer(502, "text/html", "<h1>Bad\n gateway</h1>"), status: 502, message: "<h1>Bad gateway</h1>"},
		{name: "token echoed", handle: answer(400, "text/plain", "bad token "+secret), status: 400, message: "bad token [masked]"},
		{name: "redirect", handle: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://other.example.com/x", 301) }, status: 301, message: "other.example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, tt.handle)
			offer, err := client(t, Config{URL: h.URL}).RequestJob(t.Context(), "v")
			if h.count() != 1 {
				t.Errorf("%d requests, want 1: the poller repeats", h.count())
			}
			if tt.job != "" {
				if err != nil || offer.Job.Name != tt.job || offer.Job.CorrelationID != "server-id" {
					t.Fatalf("got %+v, %v", offer.Job, err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("error %q, want %q in it and no token", err, tt.message)
			}
			var refused *StatusError
			if errors.As(err, &refused) != (tt.status != 0) || (refused != nil && refused.Status != tt.status) {
				t.Errorf("error %v, want status %d", err, tt.status)
			}
			var damaged *job.DamagedError
			if errors.As(err, &damaged) != tt.damaged || (damaged != nil && (damaged.ID != 7 || damaged.Token.Reveal() != "t")) {
				t.Errorf("error %v, want a damaged job: %v", err, tt.damaged)
			}
		})
	}
}

func TestJobIsReadAlthoughTheContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, `{"id": 7, `)
		w.(http.Flusher).Flush()
		cancel()
		_, _ = io.WriteString(w, `"token": "t", "variables": [`+strings.Repeat(`{"key": "k"},`, 100_000)+`{}]}`)
	})
	// Cancelling before the header is there ends the request, so this server
	// may lose the race: then there is no job, and no damage either.
	offer, err := client(t, Config{URL: h.URL}).RequestJob(ctx, "v")
	var damaged *job.DamagedError
	if errors.As(err, &damaged) || (err != nil && !errors.Is(err, context.Canceled)) {
		t.Errorf("RequestJob: %v", err)
	}
	if err == nil && offer.Job.ID != 7 {
		t.Errorf("job %+v", offer.Job)
	}
}

func TestHeldRequestEndsWithItsContext(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	h := serve(t, func(http.ResponseWriter, *http.Request) { close(asked); <-release })
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := client(t, Config{URL: h.URL}).RequestJob(ctx, "v"); !errors.Is(err, context.Canceled) {
		t.Errorf("RequestJob: %v, want context.Canceled", err)
	}
}

func TestUpdateJob(t *testing.T) {
	h := serve(t, status(202, "Job-Status", "running", "X-GitLab-Trace-Update-Interval", "16"))
	c := client(t, Config{URL: h.URL})
	tests := []struct {
		update job.Update
		want   string // without info
	}{
		{job.Update{State: job.Running}, `{"output":{},"state":"running","token":"glcbt-jobt0ken"}`},
		{job.Update{State: job.Running, Log: &job.LogDigest{}},
			`{"checksum":"crc32:00000000","output":{"bytesize":0,"checksum":"crc32:00000000"},"state":"running","token":"glcbt-jobt0ken"}`},
		{job.Update{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 2, Log: &job.LogDigest{CRC: 0xab, Bytes: 10}},
			`{"checksum":"crc32:000000ab","exit_code":2,"failure_reason":"script_failure","output":{"bytesize":10,"checksum":"crc32:000000ab"},"state":"failed","token":"glcbt-jobt0ken"}`},
		{job.Update{State: job.Success, Reason: job.ScriptFailure, ExitCode: 2}, `{"output":{},"state":"success","token":"glcbt-jobt0ken"}`},
	}
	for _, tt := range tests {
		got, err := c.UpdateJob(t.Context(), who, tt.update)
		want := job.Answer{Status: 202, JobState: "running", Interval: 16 * time.Second, Length: -1}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("answer (-want +got):\n%s%v", diff, err)
		}
		r := h.last(t)
		var body map[string]any
		if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
			t.Fatal(err)
		}
		delete(body, "info")
		text, _ := json.Marshal(body)
		if string(text) != tt.want || r.Path != "/api/v4/jobs/42" || r.Method != "PUT" || r.Header.Get("Job-Token") != "glcbt-jobt0ken" {
			t.Errorf("%+v: sent %s %s\n%s, want\n%s", tt.update, r.Method, r.Path, text, tt.want)
		}
	}
}

func TestPatchTrace(t *testing.T) {
	h := serve(t, status(416, "Range", "0-1000", "Job-Status", "canceling", "X-Request-Id", "id"))
	got, err := client(t, Config{URL: h.URL}).PatchTrace(t.Context(), who, 1024, []byte("\x00abc\xff"), true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(job.Answer{Status: 416, JobState: "canceling", Length: 1000, RequestID: "id"}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	r := h.last(t)
	sent := []string{r.Method, r.Path, r.Query, r.Body, r.Header.Get("Content-Type"), r.Header.Get("Content-Range"), r.Header.Get("Job-Token"), r.Header.Get("Content-Length")}
	want := []string{"PATCH", "/api/v4/jobs/42/trace", "debug_trace=true", "\x00abc\xff", "text/plain", "1024-1028", "glcbt-jobt0ken", "5"}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestLogLength(t *testing.T) {
	for header, want := range map[string]int64{"0-1024": 1024, "0-0": 0, "": -1, "1024": -1, "0--5": -1, "0-x": -1} {
		if got := logLength(header); got != want {
			t.Errorf("logLength(%q) = %d, want %d", header, got, want)
		}
	}
}

func TestRegistration(t *testing.T) {
	const answer = `{"id": 12, "token": "new-token", "token_expires_at": "2027-01-02T03:04:05Z"}`
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(204)
			return
		case !strings.HasSuffix(r.URL.Path, "verify"):
			w.WriteHeader(201)
		}
		_, _ = io.WriteString(w, answer)
	})
	c := client(t, Config{URL: h.URL})
	want := Registration{ID: 12, Token: "new-token", ExpiresAt: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
	token := func(call func() (Registration, error)) func() error {
		return func() error {
			got, err := call()
			if err == nil && !cmp.Equal(want, got) {
				return errors.New(cmp.Diff(want, got))
			}
			return err
		}
	}
	tests := []struct {
		name, request string
		header        string
		body          []string
		call          func() error
	}{
		{"verify", "POST /api/v4/runners/verify", "Runner-Token", []string{secret, "r_0123456789ab", `"features":`},
			token(func() (Registration, error) { return c.Verify(t.Context()) })},
		{"register", "POST /api/v4/runners", "Runner-Token", []string{`"token":"GR1348941x"`, `"tag_list":"a,b"`, `"maximum_timeout":60`, `"locked":true`},
			token(func() (Registration, error) {
				return c.Register(t.Context(), "GR1348941x", RegisterOptions{Tags: []string{"a", "b"}, MaximumTimeout: time.Minute, Locked: true})
			})},
		{"reset", "POST /api/v4/runners/reset_authentication_token", "Runner-Token", []string{secret},
			token(func() (Registration, error) { return c.ResetToken(t.Context()) })},
		{"reset as a user", "POST /api/v4/runners/12/reset_authentication_token", "Private-Token", nil,
			token(func() (Registration, error) { return c.ResetTokenAs(t.Context(), 12, "glpat-x") })},
		{"unregister", "DELETE /api/v4/runners/managers", "Runner-Token", []string{secret, "r_0123456789ab"},
			func() error { return c.Unregister(t.Context()) }},
		{"delete", "DELETE /api/v4/runners", "Runner-Token", []string{secret},
			func() error { return c.DeleteRunner(t.Context()) }},
	}
	for _, tt := range tests {
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		r := h.last(t)
		if r.Method+" "+r.Path != tt.request || r.Query != "" || r.Header.Get(tt.header) == "" {
			t.Errorf("%s: sent %s %s?%s with headers %v", tt.name, r.Method, r.Path, r.Query, r.Header)
		}
		for _, part := range tt.body {
			if !strings.Contains(r.Body, part) {
				t.Errorf("%s: body %s, want %s in it", tt.name, r.Body, part)
			}
		}
	}
}

func TestRefusedRegistrationSaysWhatToDo(t *testing.T) {
	for code, want := range map[int]string{403: "check the registration token", 410: "create the runner in GitLab"} {
		h := serve(t, status(code))
		_, err := client(t, Config{URL: h.URL}).Register(t.Context(), "x", RegisterOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", code, err, want)
		}
	}
	h := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "200") })
	if r, err := client(t, Config{URL: h.URL}).Verify(t.Context()); err != nil || r.ID != 0 || r.Token != secret {
		t.Errorf("very old server: %+v, %v", r, err)
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example.com":          "https://a.example.com",
		"https://a.example.com/":         "https://a.example.com",
		"https://a.example.com/ci":       "https://a.example.com",
		"https://a.example.com/ci/":      "https://a.example.com",
		"http://a.example.com:80/git/ci": "http://a.example.com:80/git",
		"https://a.example.com/gitlab//": "https://a.example.com/gitlab",
		"ftp://a.example.com":            "",
		"a.example.com":                  "",
		"https://":                       "",
		"https://u:p@a.example.com":      "",
		"":                               "",
	} {
		got, err := baseURL(text)
		if (err != nil) != (want == "") || (err == nil && got.String() != want) {
			t.Errorf("baseURL(%q) = %v, %v; want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("baseURL(%q): the error shows credentials: %v", text, err)
		}
	}
}

func TestShortToken(t *testing.T) {
	for token, want := range map[job.Secret]string{
		"glrt-t1_abcdefghijk": "abcdefghi", "glrt-abcdefghijk": "abcdefghi", "glrtr-abcdefghijk": "abcdefghi",
		"t2_abcdefghijk": "abcdefghi", "GR1348941abcdefghijk": "abcdefghi", "glcbt-64_Qx3yV0m": "64_Qx3yV0", "abc": "abc", "": "",
	} {
		if got := ShortToken(token); got != want {
			t.Errorf("ShortToken(%q) = %q, want %q", token.Reveal(), got, want)
		}
	}
}

func TestLoadSystemID(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".runner_system_id")
	first, err := LoadSystemID(path, "")
	if err != nil || !systemIDForm.MatchString(first) || !strings.HasPrefix(first, "r_") {
		t.Fatalf("LoadSystemID = %q, %v", first, err)
	}
	if again, err := LoadSystemID(path, "machine"); err != nil || again != first {
		t.Errorf("second call: %q, %v; want %q", again, err, first)
	}
	if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := LoadSystemID(path, "machine"); err != nil || !strings.HasPrefix(id, "s_") {
		t.Errorf("with a machine id: %q, %v", id, err)
	}
	if id, err := LoadSystemID("/nonexistent/id", ""); err == nil || !systemIDForm.MatchString(id) {
		t.Errorf("where nothing can be stored: %q, %v; want an id and an error", id, err)
	}
}

func TestPrivateCA(t *testing.T) {
	h := &host{}
	h.Server = httptest.NewUnstartedServer(h.keep(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, `{"id": 7, "token": "t"}`)
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that distrust it are part of the test
	h.StartTLS()
	defer h.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "127.0.0.1.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		files TLS
		ok    bool
	}{
		"nothing": {}, "file": {TLS{CAFile: ca}, true}, "directory": {TLS{CertDir: dir}, true}, "other directory": {TLS{CertDir: t.TempDir()}, false},
	} {
		offer, err := client(t, Config{URL: h.URL, TLS: tt.files}).RequestJob(t.Context(), "")
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && offer.Job.TLSChain != string(text) {
			t.Errorf("%s: TLS chain %q, want the CA", name, offer.Job.TLSChain)
		}
	}
	if _, err := New(Config{URL: h.URL, TLS: TLS{CAFile: "/nonexistent"}}); err == nil {
		t.Error("New took a CA file that does not exist")
	}
}

func TestMetricsCountCalls(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := serve(t, status(204))
	c := client(t, Config{URL: h.URL, Metrics: NewMetrics(reg)})
	for range 2 {
		_, _ = c.RequestJob(t.Context(), "")
	}
	_, _ = c.UpdateJob(t.Context(), who, job.Update{State: job.Running})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if c := m.GetCounter(); c != nil {
				got[fmt.Sprint(family.GetName(), labels)] = c.GetValue()
			}
		}
	}
	want := map[string]float64{
		"gitlab_runner_api_request_statuses_total[request_job POST s3cr3tT0k 204 r_0123456789ab]": 2,
		"gitlab_runner_api_request_statuses_total[update_job PUT s3cr3tT0k 204 r_0123456789ab]":   1,
		"gitlab_runner_api_request_retries_total[POST /api/v4/jobs/request]":                      2,
		"gitlab_runner_api_request_retries_total[PUT /api/v4/jobs/{id}]":                          1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}
