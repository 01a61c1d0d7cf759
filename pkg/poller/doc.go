// Package poller takes jobs from GitLab. There is one [Poller] for each runner
// entry; they share [Slots] and nothing else, and none waits for another's
// long poll.
//
// A slot is room for one running job. A request for a job takes a slot when it
// is sent, because the answer may be a job. When the request has been without
// an answer for a moment, GitLab is holding it: a held request is never
// answered with a job, so the slot is given back, and other entries can use it
// while the request waits on. A job that comes nevertheless waits for the next
// free slot, ahead of all requests. So there are never more running jobs than
// slots, and never a free slot that a sleeping poll keeps from others.
//
// Before that comes the question whether the place where jobs run has room for one
// more: [Room] may say no. Requests that may still bring a job, and jobs for which
// nothing has been made yet, take room, too. A request that is held takes none.
//
// The poller is the one layer that repeats requests for jobs.
package poller
