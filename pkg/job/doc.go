// Package job is runnerd's vocabulary: what GitLab hands out, the plan that
// runnerd makes of it, and how it ended. Everything here is data and pure
// functions; the package imports the standard library only, and every other
// package may import it.
//
// The way of a job through the package:
//
//	Job      what GitLab handed out (decoded by pkg/gitlab)
//	Compile  variables expanded, images resolved, steps laid out
//	Plan     the result: what the executor, the helper and the build need
//	Outcome  how the job ended
//
// A Plan is also the contract between the daemon and the agent in the pod. It
// travels as JSON and carries a version; see [PlanVersion].
package job
