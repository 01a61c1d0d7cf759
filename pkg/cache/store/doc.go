// Package store reads and writes one bucket of S3, or of a store that speaks
// its protocol. It is the daemon's side: only the daemon holds credentials, and
// what a pod may do it is told as presigned URLs.
//
// The package knows objects, not caches. It repeats a request that failed for
// the network's or the server's sake (three tries), and nothing above it
// needs to; every call ends with its context.
//
// Errors are of type [*Error] and match one of the package's Err values with
// errors.Is. Their text says what was done to which object, what the store
// answered, and what to do about it. It never holds a secret or the query of a
// URL.
package store
