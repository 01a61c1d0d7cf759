// Package netpolicy asks a third party what runnerd's NetworkPolicies mean.
//
// The tests have runnerd print the policies of an example, and cyclonus judge
// who reaches whom. That is the meaning of the policies as Kubernetes defines
// it; whether a cluster's network enforces them is not tested here.
//
// This is a module of its own, so that nobody who builds runnerd fetches
// cyclonus.
package netpolicy
