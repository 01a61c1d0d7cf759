package gitlab

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	api "gitlab.com/gitlab-org/api/client-go/v2"
)

const (
	pageSize = 100 // the most that GitLab gives
	maxPages = 50
)

// pages asks for one page of a list after the other. The last pair may be an
// error; a list that does not end after maxPages ends with one too, because
// what is not on its pages would not be known.
func pages[T any](q question, ask func(...api.RequestOptionFunc) ([]*T, *api.Response, error)) iter.Seq2[[]*T, error] {
	return func(yield func([]*T, error) bool) {
		options := q.options
		for range maxPages {
			page, resp, err := ask(options...)
			if err != nil {
				yield(nil, q.failed(resp, err))
				return
			}
			if slices.Contains(page, nil) {
				yield(nil, fmt.Errorf("gitlab: %s: read answer: null is in the list", q.op))
				return
			}
			if !yield(page, nil) {
				return
			}
			next, more := api.WithNext(resp)
			if !more {
				if err := whole(len(page), resp); err != nil {
					yield(nil, fmt.Errorf("gitlab: %s: %w", q.op, err))
				}
				return
			}
			options = append(slices.Clip(q.options), next)
		}
		yield(nil, fmt.Errorf("gitlab: %s: the list is longer than %d entries, which is all that is read", q.op, maxPages*pageSize))
	}
}

// whole tells a list's last page from one whose headers a proxy has taken away.
func whole(entries int, resp *api.Response) error {
	if entries >= pageSize && len(resp.Header.Values("X-Next-Page")) == 0 {
		return errors.New("a full page without header X-Next-Page; let proxies pass GitLab's X- headers on")
	}
	return nil
}
