package relay

import (
	"errors"
	"fmt"
)

// ErrCorrupt says that the stream contradicts itself: an offset does not fit
// the bytes before it, or the result counts other log bytes than came. No new
// connection mends that.
var ErrCorrupt = errors.New("log stream contradicts itself")

// A GapError says that frames are missing before the one that came.
type GapError struct {
	WantSeq int64 // the first frame that is missing
	GotSeq  int64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("log stream: frame %d is missing or cut; frame %d came", e.WantSeq, e.GotSeq)
}

// A WriteError is what the job's log answered to a write.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return "write job log: " + e.Err.Error() }

func (e *WriteError) Unwrap() error { return e.Err }
