package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/httpwait"
	"github.com/runnerd/runnerd/pkg/job"
)

type wireUpdate struct {
	Token         string     `json:"token"`
	State         job.State  `json:"state"`
	FailureReason job.Reason `json:"failure_reason,omitempty"`
	ExitCode      int        `json:"exit_code,omitempty"`
	Checksum      string     `json:"checksum,omitempty"` // for servers that do not know output
	Output        wireOutput `json:"output"`
	Info          wireInfo   `json:"info"`
}

type wireOutput struct {
	Checksum string `json:"checksum,omitempty"`
	Bytesize *int64 `json:"bytesize,omitempty"`
}

// UpdateJob tells GitLab how a job is doing. Every status is an Answer; an
// error means that none came.
func (c *Client) UpdateJob(ctx context.Context, who job.Credentials, u job.Update) (job.Answer, error) {
	body := wireUpdate{Token: who.Token.Reveal(), State: u.State, Info: c.cfg.Info.wire()}
	if u.State == job.Failed {
		body.FailureReason, body.ExitCode = u.Reason, u.ExitCode
	}
	if u.Log != nil {
		body.Checksum = fmt.Sprintf("crc32:%08x", u.Log.CRC)
		body.Output = wireOutput{Checksum: body.Checksum, Bytesize: &u.Log.Bytes}
	}
	what, err := jsonCall(http.MethodPut, jobPath(who, ""), jobToken, who.Token, body)
	if err != nil {
		return job.Answer{}, err
	}
	return c.tell(ctx, endpointUpdateJob, what, who)
}

// PatchTrace appends chunk to the job's log at offset. chunk is at least one
// byte, at most 1 MiB, and must not change until the call is over and the
// transport is done with it: the caller never writes to it again. debug says
// that the log is of a debugging job, which GitLab shows to fewer people.
//
// Every status is an Answer; an error means that none came.
func (c *Client) PatchTrace(ctx context.Context, who job.Credentials, offset int64, chunk []byte, debug bool) (job.Answer, error) {
	what := call{
		method: http.MethodPatch, path: jobPath(who, "/trace"), body: chunk,
		query: url.Values{"debug_trace": {strconv.FormatBool(debug)}},
		header: map[string]string{
			"Content-Type":  "text/plain",
			"Content-Range": fmt.Sprintf("%d-%d", offset, offset+int64(len(chunk))-1),
			jobToken:        who.Token.Reveal(),
		},
	}
	return c.tell(ctx, endpointPatchTrace, what, who)
}

// foreign reports whether a proxy has answered in GitLab's place: the runner API
// answers with no page. A page whose status says when to try again, or with what, is
// an answer all the same, and one with 403 is believed.
func (r reply) foreign() bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "text/html") && r.Header.Get("Job-Status") == "" &&
		!httpwait.Retryable(r.StatusCode) && r.StatusCode != http.StatusForbidden && r.StatusCode != http.StatusRequestEntityTooLarge
}

func jobPath(who job.Credentials, rest string) string {
	return "jobs/" + strconv.FormatInt(who.ID, 10) + rest
}

func (c *Client) tell(ctx context.Context, endpoint string, what call, who job.Credentials) (job.Answer, error) {
	done := c.observer.observe(endpoint, what.method)
	r, err := c.do(ctx, what)
	if err != nil {
		done(0)
		return job.Answer{}, err
	}
	if r.foreign() {
		done(0)
		return job.Answer{}, fmt.Errorf("gitlab: %s %s: something between here and GitLab answers with a page: %d %s: %s",
			what.method, what.path, r.StatusCode, http.StatusText(r.StatusCode), r.message(who.Token))
	}
	done(r.StatusCode)
	answer := job.Answer{
		Status:     r.StatusCode,
		JobState:   r.Header.Get("Job-Status"),
		RetryAfter: httpwait.Told(r.Header, time.Now()),
		Length:     logLength(r.Header.Get("Range")),
		RequestID:  r.Header.Get("X-Request-Id"),
	}
	if seconds, err := strconv.Atoi(r.Header.Get("X-GitLab-Trace-Update-Interval")); err == nil && seconds > 0 {
		answer.Interval = time.Duration(min(seconds, maxIntervalSeconds)) * time.Second
	}
	if r.StatusCode >= 300 {
		answer.Message = r.message(who.Token)
	}
	return answer, nil
}

const maxIntervalSeconds = 15 * 60

// logLength reads a Range header. Its second number is not the last byte but
// the length of the log.
func logLength(header string) int64 {
	_, text, ok := strings.Cut(header, "-")
	if !ok {
		return -1
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
