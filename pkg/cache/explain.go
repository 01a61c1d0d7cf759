package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// explain says in a job's log what the store has answered. Names of objects
// and buckets are left to the daemon's own log.
func explain(err error) string {
	var refused *refusedError
	if errors.As(err, &refused) {
		return refused.reason
	}
	var e *store.Error
	if !errors.As(err, &e) {
		if silent(err) {
			return "the store does not answer in time"
		}
		return err.Error()
	}
	verb := "the store fails"
	switch {
	case errors.Is(err, store.ErrDenied):
		verb = "the store refuses"
	case errors.Is(err, store.ErrNoBucket):
		verb = "the store has no such bucket"
	case errors.Is(err, store.ErrUnreachable) && e.Status == 0:
		verb = "the store does not answer"
	}
	var what []string
	if e.Status != 0 {
		what = append(what, fmt.Sprint(e.Status))
	}
	if e.Code != "" {
		what = append(what, e.Code)
	}
	text := verb
	if len(what) > 0 {
		text += ": " + strings.Join(what, " ")
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

// codeOf is the label of err in metrics.
func codeOf(err error) job.CacheCode {
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return refused.code
	case errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrNoBucket):
		return job.CodeDenied
	case errors.Is(err, store.ErrConflict):
		return job.CodeConflict
	case silent(err):
		return job.CodeTimeout
	case errors.Is(err, store.ErrUnreachable):
		return job.CodeNetwork
	}
	return job.CodeInternal
}

// silent reports whether err is the end of a wait.
func silent(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// hopeless reports whether the next request of the same kind would only cost
// time.
func hopeless(err error) bool {
	return silent(err) || errors.Is(err, store.ErrUnreachable) || errors.Is(err, store.ErrNoBucket)
}
