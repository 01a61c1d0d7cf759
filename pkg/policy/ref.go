package policy

import (
	"slices"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// Where git keeps what a job can be of.
const (
	branches      = "refs/heads/"
	tags          = "refs/tags/"
	mergeRequests = "refs/merge-requests/"
)

// fullRef returns a job's ref with its kind, so that no tag passes for the
// branch of the same name. other is what it may be as well: a branch can be
// called like a merge request's ref, and only the refspecs tell them apart,
// which they do not when the job's author asks for the whole history.
func fullRef(j *job.Job) (ref, other string) {
	g := j.Git
	switch {
	case g.RefType == "tag":
		return tags + g.Ref, ""
	case !strings.HasPrefix(g.Ref, mergeRequests):
		return branches + g.Ref, ""
	case slices.ContainsFunc(g.Refspecs, func(spec string) bool { return strings.HasPrefix(spec, "+"+branches+g.Ref+":") }):
		return branches + g.Ref, ""
	case slices.ContainsFunc(g.Refspecs, ofBranches) && len(valuesOf(j.Variables, "CI_COMMIT_BRANCH")) > 0:
		// GitLab sends that variable for branches only, and anybody can.
		return g.Ref, branches + g.Ref
	}
	return g.Ref, ""
}

func ofBranches(refspec string) bool { return strings.HasPrefix(refspec, "+"+branches+"*:") }

// Kinds of refs, as expressions know them.
const (
	KindBranch       = "branch"
	KindTag          = "tag"
	KindMergeRequest = "merge_request"
)

// RefName returns the kind of f's ref and its name: that of the branch or tag,
// or the whole ref of a merge request.
func (f Facts) RefName() (kind, name string) {
	if name, ok := strings.CutPrefix(f.Ref, tags); ok {
		return KindTag, name
	}
	if name, ok := strings.CutPrefix(f.Ref, branches); ok {
		return KindBranch, name
	}
	return KindMergeRequest, f.Ref
}
