package gitlab

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	// pollTimeout bounds a request for a job; GitLab holds one for 50 s unless
	// its administrator chose otherwise.
	pollTimeout = 10 * time.Minute
	// bodyGrace is how long a job that GitLab has begun to send may take after
	// the request's context ended.
	bodyGrace = 30 * time.Second
)

// RequestJob asks for a job. lastUpdate is the LastUpdate of the last offer
// that had one; GitLab then holds the request until there is something new.
//
// The call is sent once. It returns a [*StatusError] for every status but 201
// and 204, a [*job.DamagedError] when a job came but cannot be read, and any
// other error when there was no answer. When ctx ends while a job is arriving,
// the job is still read: GitLab would otherwise take it for running.
func (c *Client) RequestJob(ctx context.Context, lastUpdate string) (job.Offer, error) {
	what, err := jsonCall(http.MethodPost, "jobs/request", runnerToken, c.cfg.Token, struct {
		Token      string   `json:"token"`
		SystemID   string   `json:"system_id,omitempty"`
		LastUpdate string   `json:"last_update,omitempty"`
		Info       wireInfo `json:"info"`
	}{c.cfg.Token.Reveal(), c.cfg.SystemID, lastUpdate, c.cfg.Info.wire()})
	if err != nil {
		return job.Offer{}, err
	}

	asking, cancel := whileUnanswered(ctx)
	defer cancel(nil)
	what.delivery = delivery{attempts: 1, timeout: pollTimeout}

	done := c.observer.observe(endpointRequestJob, what.method)
	r, err := c.do(asking, what)
	if err != nil {
		done(0)
		return job.Offer{}, err
	}
	done(r.StatusCode)
	switch r.StatusCode {
	case http.StatusNoContent:
		return job.Offer{LastUpdate: r.Header.Get("X-GitLab-Last-Update")}, nil
	case http.StatusCreated:
		return c.offer(what.op(), r)
	default:
		return job.Offer{}, statusError(what.op(), r, c.cfg.Token)
	}
}

// whileUnanswered returns a context that ends with ctx as long as the request
// made under it has had no byte of an answer; after that, bodyGrace later.
func whileUnanswered(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	asking, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	end := func() { cancel(context.Cause(ctx)) }
	stop := context.AfterFunc(ctx, end)
	answering := func() {
		if stop() {
			context.AfterFunc(ctx, func() { time.AfterFunc(bodyGrace, end) })
		}
	}
	return httptrace.WithClientTrace(asking, &httptrace.ClientTrace{GotFirstResponseByte: answering}),
		func(why error) { stop(); cancel(why) }
}

// offer reads a job out of a 201.
func (c *Client) offer(op string, r reply) (job.Offer, error) {
	j, err := r.job()
	if err != nil {
		err = fmt.Errorf("gitlab: %s: %w", op, err)
		if who, ok := salvage(r.body); ok {
			err = &job.DamagedError{Credentials: who, Err: err}
		}
		return job.Offer{}, err
	}
	j.CorrelationID = r.Header.Get("X-Request-Id")
	if j.CorrelationID == "" && r.Request != nil {
		j.CorrelationID = r.Request.Header.Get("X-Request-Id")
	}
	j.TLSChain = caChain(r.TLS)
	pair := c.transport.clientPair()
	j.TLSCert, j.TLSKey = pair.cert, job.Secret(pair.key)
	return job.Offer{Job: j, LastUpdate: r.Header.Get("X-GitLab-Last-Update")}, nil
}

func (r reply) job() (*job.Job, error) {
	if err := r.mustBeJSON(); err != nil {
		return nil, err
	}
	if r.bodyErr != nil {
		return nil, fmt.Errorf("answer broke off after %d bytes: %w", len(r.body), r.bodyErr)
	}
	return decodeJob(r.body)
}

func (r reply) mustBeJSON() error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" {
		return fmt.Errorf("%d answer is %q, not application/json; is the url that of a GitLab?",
			r.StatusCode, r.Header.Get("Content-Type"))
	}
	return nil
}
