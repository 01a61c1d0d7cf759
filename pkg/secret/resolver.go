package secret

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// Options of a Resolver. The zero value connects to every server, and trusts
// the authorities that the system trusts.
type Options struct {
	Servers   []string       // globs of scheme://host[:port]; none means any
	Roots     *x509.CertPool // the authorities to trust; nil means the system's
	UserAgent string         // sent to the servers
	Pause     time.Duration  // before the second attempt; it doubles; 0 means 5 s
}

// A Resolver fetches secrets. It is safe for concurrent use.
type Resolver struct {
	client    *http.Client
	servers   []string
	userAgent string
	pause     time.Duration
}

// The times that a Resolver takes.
const (
	firstPause     = 5 * time.Second
	longestPause   = 5 * time.Minute
	requestTimeout = 30 * time.Second
	revokeTimeout  = 5 * time.Second
)

// New returns a Resolver.
func New(o Options) *Resolver {
	r := &Resolver{client: newClient(o.Roots), servers: o.Servers, userAgent: o.UserAgent, pause: o.Pause}
	if r.pause <= 0 {
		r.pause = firstPause
	}
	return r
}

// Close ends idle connections.
func (r *Resolver) Close() { r.client.CloseIdleConnections() }

// Notes take lines for the job's log.
type Notes interface {
	Info(line string)
	Warn(line string)
}

// Resolve fetches the secrets of plan, and returns them as variables. An error
// is a *job.Failure, or the cause of ctx's end.
func (r *Resolver) Resolve(ctx context.Context, plan *job.Plan, notes Notes) ([]job.Variable, error) {
	sessions := &sessions{resolver: r}
	defer sessions.revoke(ctx)
	var vars []job.Variable
	for _, s := range plan.Secrets {
		notes.Info(fmt.Sprintf("Resolving secret %q...", s.Name))
		notes.Info(fmt.Sprintf("Using %q secret resolver...", s.Provider))
		value, err := r.attempts(ctx, sessions, s, plan.SecretAttempts, notes)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil && errors.Is(err, errMissing) && plan.SecretsMayBeMissing:
			notes.Warn(fmt.Sprintf("%v; it is empty", failureOf(s, err)))
		case err != nil:
			return nil, failureOf(s, err)
		}
		vars = append(vars, job.Variable{Key: s.Name, Value: value, Masked: true, Raw: true, File: s.File})
	}
	return vars, nil
}

// attempts asks again what may be answered the next time.
func (r *Resolver) attempts(ctx context.Context, sessions *sessions, s job.SecretRequest, most int, notes Notes) (string, error) {
	pause := r.pause
	for attempt := 1; ; attempt++ {
		value, err := sessions.read(ctx, s.Vault)
		if err == nil || attempt >= most || !temporary(err) || ctx.Err() != nil {
			return value, err
		}
		notes.Warn(fmt.Sprintf("%v; attempt %d of %d follows in %v", failureOf(s, err), attempt+1, most, pause))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", context.Cause(ctx)
		}
		pause = min(2*pause, longestPause)
	}
}
