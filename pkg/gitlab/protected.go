package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"
)

// RefProtected reports whether GitLab protects a project's branch or tag. ref is
// its name as a payload has it ("main"), refType "branch" or "tag". What a
// payload calls refs/… is neither: a merge request's ref is never protected.
//
// A '*' in what is protected stands for any run of characters, slashes too; all
// else is literal, case included. A branch is not protected by a tag's entry,
// nor a tag by a branch's. What a group protects is in the project's list.
func (f *Facts) RefProtected(ctx context.Context, projectID int64, ref, refType string) (bool, error) {
	kinds := map[string]listKind{"branch": protectedBranches, "tag": protectedTags}
	kind, ok := kinds[refType]
	switch {
	case ref == "":
		return false, fmt.Errorf("gitlab: project %d: is a ref protected: its name is empty", projectID)
	case strings.HasPrefix(ref, "refs/"):
		return false, nil
	case !ok:
		return false, fmt.Errorf("gitlab: project %d: is ref %q protected: ref type %q; it must be branch or tag", projectID, ref, refType)
	}
	return f.protected(ctx, listKey{kind, projectID}, ref)
}

// EnvironmentProtected reports whether GitLab protects a project's environment.
// Names are compared like those of refs. What a group protects by deployment
// tier is in no project's list and does not count.
//
// Protected environments need GitLab Premium; where there are none, that is an
// error.
func (f *Facts) EnvironmentProtected(ctx context.Context, projectID int64, environment string) (bool, error) {
	if environment == "" {
		return false, fmt.Errorf("gitlab: project %d: is an environment protected: its name is empty", projectID)
	}
	ctx, cancel := f.limit(ctx) // of two lists, if need be
	defer cancel()
	yes, err := f.protected(ctx, listKey{protectedEnvironments, projectID}, environment)
	var refused *StatusError
	if !errors.As(err, &refused) || refused.Status != http.StatusForbidden && refused.Status != http.StatusNotFound {
		return yes, err
	}
	// GitLab hides what an edition lacks as it hides what may not be read. The
	// branches' list needs the same role and is there in every edition.
	if _, other := f.lists.get(ctx, listKey{protectedBranches, projectID}); other != nil {
		return false, err
	}
	return false, fmt.Errorf("%w: the token may read the project's protected branches, so most likely this GitLab has no protected environments, which need GitLab Premium or Ultimate; if it has, the token's user needs the role Maintainer in the project", refused)
}

func (f *Facts) protected(ctx context.Context, key listKey, name string) (bool, error) {
	patterns, err := f.lists.get(ctx, key)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, name) }), nil
}

// list asks for the names in a list. It is the cache's way to GitLab.
func (f *Facts) list(ctx context.Context, key listKey) ([]string, error) {
	ctx, cancel := f.limit(ctx)
	defer cancel()
	q, err := f.question(ctx, "Maintainer", fmt.Sprintf("projects/%d/%s", key.project, key.kind))
	if err != nil {
		return nil, err
	}
	page := api.ListOptions{PerPage: pageSize}
	switch key.kind {
	case protectedBranches:
		return names(q, func(o ...api.RequestOptionFunc) ([]*api.ProtectedBranch, *api.Response, error) {
			return f.api.ProtectedBranches.ListProtectedBranches(key.project, &api.ListProtectedBranchesOptions{ListOptions: page}, o...)
		}, func(b *api.ProtectedBranch) string { return b.Name })
	case protectedTags:
		return names(q, func(o ...api.RequestOptionFunc) ([]*api.ProtectedTag, *api.Response, error) {
			return f.api.ProtectedTags.ListProtectedTags(key.project, &api.ListProtectedTagsOptions{ListOptions: page}, o...)
		}, func(t *api.ProtectedTag) string { return t.Name })
	default:
		return names(q, func(o ...api.RequestOptionFunc) ([]*api.ProtectedEnvironment, *api.Response, error) {
			return f.api.ProtectedEnvironments.ListProtectedEnvironments(key.project, &api.ListProtectedEnvironmentsOptions{ListOptions: page}, o...)
		}, func(e *api.ProtectedEnvironment) string { return e.Name })
	}
}

func names[T any](q question, ask func(...api.RequestOptionFunc) ([]*T, *api.Response, error), name func(*T) string) ([]string, error) {
	var list []string
	for page, err := range pages(q, ask) {
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			list = append(list, name(entry))
		}
	}
	return list, nil
}
