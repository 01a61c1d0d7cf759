// Package kubernetes runs each job as one pod that needs nobody's hand to
// finish.
//
// A pod holds a helper container, the services and the build container; the
// job's plan reaches it in a Secret. The agent inside does the work. This
// package creates the two objects, follows the helper's log, and deletes them:
//
//	Secret, Pod      created one after the other; the pod owns the Secret
//	pods/log         followed and followed again until the result came
//	pod status       watched for trouble only, by one informer a namespace
//	pod annotations  patched to tell the helper something (cancel, resend)
//
// It never execs into a pod, never attaches to one and never polls a pod's
// status. The daemon's connection may break at any time: the pod goes on, and a
// later log request brings what was missed.
//
// A job's objects are in the namespace that its plan's Placement names, which has
// to be one of Config's. What runnerd may do in each of them: pods create, get,
// list, watch, patch, delete; pods/log get; secrets create, get, patch, delete;
// events create, where verdicts are recorded.
package kubernetes
