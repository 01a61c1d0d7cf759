// Package policycase reads cases of a policy: jobs, written as what differs from
// an ordinary one, and what a policy is expected to say of each.
//
//	runner = "production"        # of the config file; not needed when it has one
//
//	[[case]]
//	name = "nobody deploys from a fork"
//	expect = "deny"              # allow, deny or shape
//	rule = "forks"               # the rule that has to decide; may be left out
//	job = { ref = "refs/merge-requests/1/head", fork = true, image = "debian:12" }
//	variables = [{ key = "CI_COMMIT_REF_PROTECTED", value = "true" }]
package policycase
