// Package relay turns the framed stream of a job's helper into the job's log,
// its events and its result.
//
// The stream may break at any byte and come again from any earlier point; the
// [Relay] remembers what it has and writes every log byte once, in order. What
// is missing or contradicts itself is an error, never a silent hole:
//
//	*GapError      frames are missing; read again from further back
//	ErrCorrupt     the stream contradicts itself; reading again cannot help
//	*WriteError    the log's own writer refused the bytes
//	anything else  the stream broke; connect again
//
// Both executors use it, each with its own way to get at the stream.
package relay
