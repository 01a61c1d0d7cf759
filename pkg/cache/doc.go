// Package cache is the daemon's side of caches: where they lie in the store,
// which of them a job may read and write, and when what a job has uploaded
// becomes one.
//
// A key of a project is a folder of the bucket. Its head, a small JSON object,
// names the layers that make up the cache: a base and at most one delta. The
// pod reads and writes segments of layers through presigned URLs; only the
// daemon writes heads, after it has checked what the pod reports. Whoever can
// read a head can read its layers, and whatever no head names is garbage that
// a [Session] or the sweep removes.
//
// Caches are kept apart by what a job's author cannot set: the project, the
// class that follows from the ref, and the tier that policy gave the job. Jobs
// share caches within all three.
//
// A cache only ever makes a job faster: nothing in this package fails a job. A
// miss, a store that is down and a report that is refused are said in the
// job's log, and counted.
//
// A [Cache] is safe for concurrent use, also by several daemons with the same
// bucket.
package cache
