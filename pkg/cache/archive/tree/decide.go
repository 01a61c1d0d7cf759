package tree

import (
	"fmt"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// A Push is what is sent of a cache.
type Push uint8

// The pushes.
const (
	Skip  Push = iota + 1 // nothing
	Delta                 // what differs from the base
	Full                  // all of it, as a new base
)

// A Situation is what decides about a push.
type Situation struct {
	// Changes since the restore; nil if nothing was restored, if the restore was
	// not clean, or if too much was restored to keep track of it.
	Changes  *Changes
	Fallback bool // what was restored has another key
	Renew    bool // the base is about to expire, or is known to be bad
}

// A Decision says what to send and why.
type Decision struct {
	Push   Push
	Reason string // for the job's log, without a capital or full stop
}

// maxDrift is how many percent of the base's bytes and entries may be superseded,
// and how many a delta may have, before a new base is made.
const maxDrift = 25

// Decide says what to send.
func Decide(s Situation) Decision {
	c := s.Changes
	switch {
	case c == nil:
		return Decision{Full, "nothing to compare it with"}
	case s.Fallback:
		return Decision{Full, "restored from a fallback key"}
	case s.Renew:
		return Decision{Full, "what is stored is due to be renewed"}
	case c.None():
		return Decision{Skip, "nothing has changed"}
	}
	what := fmt.Sprintf("%d changed, %d added, %d deleted", c.Changed, c.Added, c.Deleted)
	if drifted(c.Superseded, c.Base) || drifted(c.Delta, c.Base) || archive.ControlBytes(c.Whiteouts) > archive.MaxControl {
		return Decision{Full, fmt.Sprintf("%s; more than %d%% differs from the last full save", what, maxDrift)}
	}
	return Decision{Delta, what}
}

func drifted(part, base Totals) bool {
	return part.Raw > base.Raw*maxDrift/100 || part.Entries > base.Entries*maxDrift/100
}
