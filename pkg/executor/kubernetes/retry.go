package kubernetes

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/runnerd/runnerd/pkg/job"
)

// retry repeats a request while the API server is away, overloaded or out of
// quota, until it works, ctx ends or limit is over; 0 is no limit. note is told
// of every failure that is tried again. It is the only layer that retries
// requests to the cluster.
func retry(ctx context.Context, limit time.Duration, note func(error), request func() error) error {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = 200*time.Millisecond, 5*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := request()
		if err != nil && !passes(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(limit), backoff.WithNotify(func(err error, _ time.Duration) { note(err) }))
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errBeingDeleted says that an object of the wanted name is on its way out.
var errBeingDeleted = errors.New("an older one of that name is still being deleted")

// passes reports whether a request can work later as it is. What is no answer
// of the API server is trouble on the way to it.
func passes(err error) bool {
	var status apierrors.APIStatus
	switch {
	case !errors.As(err, &status):
		var failure *job.Failure
		return !errors.As(err, &failure)
	case overQuota(err):
		return true
	case apierrors.IsUnauthorized(err): // a token that has expired, until the new one is read
		return true
	}
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsConflict(err)
}

func overQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota")
}

// refusal turns the API server's no into a failure of the job.
func refusal(what string, err error) error {
	var known *job.Failure
	if errors.As(err, &known) {
		return known
	}
	text := tidy(err.Error())
	switch {
	case apierrors.IsNotFound(err) && strings.Contains(text, "namespaces"):
		return job.Failf(job.RunnerConfigurationError, "%s: the namespace does not exist: %s", what, text)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err),
		apierrors.IsForbidden(err) && (strings.Contains(text, "PodSecurity") || strings.Contains(text, "service account")):
		return job.Failf(job.RunnerConfigurationError, "%s: the cluster refuses it: %s", what, text)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return job.Failf(job.RunnerSystemFailure, "%s: runnerd may not: %s", what, text)
	}
	return job.Failf(job.RunnerSystemFailure, "%s: %s", what, text)
}
