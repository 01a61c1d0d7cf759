// Package joblog writes the log of a job as GitLab stores it.
//
// A [Writer] takes what the job prints and what runnerd itself has to say, and
// passes each byte through, in this order:
//
//	mask        secrets become "[MASKED]" (pkg/mask)
//	utf8        a byte that is no UTF-8 becomes U+FFFD
//	timestamps  the log is cut into entries that carry the time, if asked for
//	limit       past so many bytes only the end is kept
//
// There are two streams, as in GitLab Runner: 00 for runnerd's own lines and
// section markers, 01 for the job.
package joblog
