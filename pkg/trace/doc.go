// Package trace brings a job's log and its final state to GitLab.
//
// Bytes go in through [Trace.Write] and stay here until GitLab has confirmed
// them; what GitLab has confirmed is the only state. On any doubt (an answer
// that was lost, a restart) the next piece is refused with the length of the
// log at GitLab, and the trace goes on there.
//
// A trace keeps little: up to Options.BufferBytes in memory, what is beyond in
// an unlinked temporary file. Both are only there while something is
// unconfirmed. When both are full, Write blocks.
//
// Only [Trace.Run] talks to GitLab, so that requests of a job never overlap
// ([Trace.Acknowledge] comes before it). While the job runs, pieces of the log
// are at least as far apart as GitLab wishes; in between, and for silent jobs,
// short updates (touches) find out whether somebody has canceled the job.
package trace
