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
// branch of the same name. A branch may be called refs/merge-requests/1/head or
// refs/tags/v1: GitLab sends a merge request's job no refspec of a branch.
func fullRef(g job.Git) string {
	switch {
	case g.RefType == "tag":
		return tags + g.Ref
	case strings.HasPrefix(g.Ref, mergeRequests) && !slices.ContainsFunc(g.Refspecs, ofBranch):
		return g.Ref
	}
	return branches + g.Ref
}

func ofBranch(refspec string) bool { return strings.Contains(refspec, branches) }

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
