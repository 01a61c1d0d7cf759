// Package netpolicy writes the Kubernetes NetworkPolicies of job pods.
//
// A job pod carries the label [Label] with the name of its tier. Each namespace
// gets one policy for all pods that have the label, and one for each tier that
// may reach more. NetworkPolicies only ever add up: the first denies everything
// but the peers that all jobs need, the others allow a tier more than that.
// Nothing may ever connect to a job pod; a job's services are in its own pod,
// and need no network between them.
//
// The package is pure: it asks no cluster, and does not know whether the
// cluster's network enforces what it has written.
package netpolicy
