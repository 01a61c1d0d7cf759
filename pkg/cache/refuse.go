package cache

import (
	"fmt"

	"github.com/runnerd/runnerd/pkg/job"
)

// A refusedError is a layer that a pod has reported and that is not published.
type refusedError struct {
	code   job.CacheCode
	reason string // for the job's log
}

func (e *refusedError) Error() string { return e.reason }

func refuse(code job.CacheCode, format string, args ...any) error {
	return &refusedError{code: code, reason: fmt.Sprintf(format, args...)}
}
