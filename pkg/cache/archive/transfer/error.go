package transfer

import (
	"fmt"
	"net/http"
	"strings"
)

// A Code says what kind of trouble an [Error] is.
type Code string

// The codes.
const (
	Network  Code = "network"  // the store cannot be reached, breaks off, stalls or is overloaded
	Denied   Code = "denied"   // the URL is not for this request, or whoever signed it may not do that
	Expired  Code = "expired"  // the URL is no longer valid
	Missing  Code = "missing"  // there is no such object
	Corrupt  Code = "corrupt"  // the object has another length
	Conflict Code = "conflict" // somebody else has written the object
	Internal Code = "internal" // the store refuses the request as such: URL, headers or we are wrong
)

// An Error is why a segment could not be moved.
type Error struct {
	Op      string // put or get
	Segment int
	Code    Code
	Status  int    // of the last answer; 0: there was none
	S3Code  string // what the store calls the problem, if it said so
	Tries   int
	Err     error // never holds a URL
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s segment %d: ", e.Op, e.Segment)
	if e.Status != 0 {
		fmt.Fprintf(&b, "%d %s, ", e.Status, http.StatusText(e.Status))
	}
	if e.S3Code != "" {
		fmt.Fprintf(&b, "%s: ", e.S3Code)
	}
	fmt.Fprint(&b, e.Err)
	if e.Tries > 1 {
		fmt.Fprintf(&b, " (%d tries)", e.Tries)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }
