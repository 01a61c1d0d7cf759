package kubernetes

import (
	"encoding/json"
	"fmt"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

// lastWords returns the result that the helper left as its termination message.
// It is for a log that was lost with its node's disk or rotated away: the job's
// end is known, the missing log is said, not hidden.
func (a *attempt) lastWords(state podState) (*job.Result, bool) {
	t := state.terminated(containerHelper)
	if t == nil || t.Message == "" {
		return nil, false
	}
	var result job.Result
	if err := json.Unmarshal([]byte(t.Message), &result); err != nil || result.State == "" {
		return nil, false
	}
	if lost := result.LogBytes - a.relay.Bytes(); lost > 0 {
		a.log.Error("end of the job's log was lost", zap.Int64("bytes", lost))
		note := fmt.Sprintf("the last %d bytes of the log were lost on node %s", lost, state.pod.Spec.NodeName)
		if result.Message != "" {
			note = result.Message + "; " + note
		}
		result.Message = note
	}
	return &result, true
}

// findTroubleOf finds what kept an ended pod from starting.
func findTroubleOf(state podState) *trouble {
	if state.pod == nil {
		return nil
	}
	return findTrouble(state.pod)
}
