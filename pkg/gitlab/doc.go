// Package gitlab speaks GitLab's runner API: it asks for jobs, sends logs and
// updates, and registers runners. It is the only package that knows GitLab's
// JSON; everybody else sees the types of pkg/job.
//
// [Facts] is a client of its own, for what a policy has to know and a job's
// payload cannot vouch for: it asks GitLab's ordinary API, with an access token
// that may only read.
//
// The transport is GitLab's own client-go. Its calls for runners cannot carry
// system_id, info or features (and its DELETE would put the token into the
// URL), so the requests are made here and sent through NewRequest and Do.
//
// Exactly one layer repeats each call. A request for a job is sent once: the
// poller repeats it, because only the poller knows which slot it may use. All
// other calls are repeated by the transport when GitLab answers 408, 429 or
// 5xx: five attempts, as far apart as GitLab asks. A network error goes to the
// caller at once, unless the call only reads: then it is repeated too, for as
// long as the question may take.
package gitlab
