package gitlab

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

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
		{name: "redirect", handle: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://other.example.com/x", http.StatusMovedPermanently)
		}, status: 301, message: "other.example.com"},
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
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id": 7, `)
		w.(http.Flusher).Flush()
		<-ctx.Done()
		_, _ = io.WriteString(w, `"token": "t", "variables": [`+strings.Repeat(`{"key": "k"},`, 100_000)+`{}]}`)
	})
	asking := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: cancel})
	offer, err := client(t, Config{URL: h.URL}).RequestJob(asking, "v")
	if err != nil {
		t.Fatalf("RequestJob: %v", err)
	}
	if offer.Job.ID != 7 {
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
