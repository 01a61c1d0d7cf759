package gitlab

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestUpdateJob(t *testing.T) {
	h := serve(t, status(202, "Job-Status", "running", "X-GitLab-Trace-Update-Interval", "16"))
	c := client(t, Config{URL: h.URL})
	tests := []struct {
		update job.Update
		want   string // without info
	}{
		{job.Update{State: job.Running}, `{"output":{},"state":"running","token":"glcbt-jobt0ken"}`},
		{
			job.Update{State: job.Running, Log: &job.LogDigest{}},
			`{"checksum":"crc32:00000000","output":{"bytesize":0,"checksum":"crc32:00000000"},"state":"running","token":"glcbt-jobt0ken"}`,
		},
		{
			job.Update{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 2, Log: &job.LogDigest{CRC: 0xab, Bytes: 10}},
			`{"checksum":"crc32:000000ab","exit_code":2,"failure_reason":"script_failure","output":{"bytesize":10,"checksum":"crc32:000000ab"},"state":"failed","token":"glcbt-jobt0ken"}`,
		},
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
		if string(text) != tt.want || r.Path != "/api/v4/jobs/42" || r.Method != http.MethodPut || r.Header.Get("Job-Token") != "glcbt-jobt0ken" {
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

// TestPagesAreNoAnswers: what a proxy says in GitLab's place neither confirms
// anything nor ends a job.
func TestPagesAreNoAnswers(t *testing.T) {
	for code, want := range map[int]bool{200: false, 404: false, 409: false, 401: false, 403: true, 413: true, 501: false} {
		h := serve(t, status(code, "Content-Type", "text/html; charset=utf-8"))
		got, err := client(t, Config{URL: h.URL}).UpdateJob(t.Context(), who, job.Update{State: job.Success})
		if (err == nil) != want || want && got.Status != code {
			t.Errorf("page with %d: %+v, %v", code, got, err)
		}
	}
}
