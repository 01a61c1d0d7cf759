package registry

import "fmt"

// A Kind says what became of a question, for the code that asks.
type Kind string

// The kinds of errors.
const (
	BadName     Kind = "bad name"    // the image's name or digest makes no sense; nobody was asked
	NotFound    Kind = "not found"   // the registry knows no such image
	Denied      Kind = "denied"      // the registry wants other credentials
	Unreachable Kind = "unreachable" // there was no answer, or one that may be another soon (429, 5xx)
	Malformed   Kind = "malformed"   // there was an answer, which is not a registry's
	Unsigned    Kind = "unsigned"    // there is no signature by one of the keys
)

// An Error is any error about an image. Its text names image and registry, says
// what would help, and holds no password.
//
// Unwrap leads to the context's error when the question ended with it, and to
// nothing otherwise: what a registry answers, or a library makes of it, may
// repeat what it was sent.
type Error struct {
	Kind     Kind
	Image    string // as the job has it
	Registry string // host[:port]; may be empty with BadName

	verb  string // resolve or verify
	text  string // what is wrong, and what would be right
	ended error  // the context's error
}

func (e *Error) Error() string {
	if e.Registry == "" {
		return fmt.Sprintf("%s image %q: %s", e.verb, e.Image, e.text)
	}
	return fmt.Sprintf("%s image %q: registry %s: %s", e.verb, e.Image, e.Registry, e.text)
}

func (e *Error) Unwrap() error { return e.ended }
