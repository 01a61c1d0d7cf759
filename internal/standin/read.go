package standin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// reading makes a handler of one that reads about a project, with everything
// around it that is the same: who asks and which project is meant. The handler
// runs with s.mu held.
func (s *Server) reading(read func(*call, *Project) answer) handler {
	return func(c *call) answer {
		for _, h := range []string{"JOB-TOKEN", "RUNNER-TOKEN"} {
			if c.Header.Get(h) != "" {
				s.violate(c, "14.4", "header %s is sent where only an access token is read", h)
			}
		}
		for _, key := range []string{"private_token", "access_token", "job_token"} {
			if c.URL.Query().Has(key) {
				s.violate(c, "14.4", "query parameter %s; send the token in the header PRIVATE-TOKEN", key)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !slices.Contains(s.tokens, c.Header.Get("PRIVATE-TOKEN")) {
			return refuse(http.StatusUnauthorized, "Unauthorized")
		}
		id, _ := strconv.ParseInt(c.PathValue("project"), 10, 64) // 0 is nobody's id
		p := s.projectByID(id)
		if p == nil {
			return refuse(http.StatusNotFound, "Project Not Found")
		}
		return read(c, p)
	}
}

const maxPerPage = 100

// page answers with the part of a list that the request asks for.
func (s *Server) page(c *call, list []any) answer {
	query := c.URL.Query()
	page, per := 1, 20
	for key, value := range map[string]*int{"page": &page, "per_page": &per} {
		text := query.Get(key)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return *badRequest(key + " is invalid")
		}
		if n < 1 {
			return *badRequest(key + " does not have a valid value")
		}
		*value = n
	}
	per = min(per, maxPerPage)
	pages := max((len(list)+per-1)/per, 1)
	from := min((page-1)*per, len(list))
	to := min(from+per, len(list))

	next, prev, link := "", "", s.pageLink(c, query, 1, "first")+", "+s.pageLink(c, query, pages, "last")
	if page < pages {
		next = strconv.Itoa(page + 1)
		link = s.pageLink(c, query, page+1, "next") + ", " + link
	}
	if page > 1 {
		prev = strconv.Itoa(page - 1)
	}
	return jsonAnswer(http.StatusOK, append([]any{}, list[from:to]...)).
		with("X-Page", strconv.Itoa(page)).
		with("X-Per-Page", strconv.Itoa(per)).
		with("X-Next-Page", next).
		with("X-Prev-Page", prev).
		with("X-Total", strconv.Itoa(len(list))).
		with("X-Total-Pages", strconv.Itoa(pages)).
		with("Link", link)
}

// pageLink is an entry of the Link header. c's URL has lost what leads to the
// API. s.mu is held.
func (s *Server) pageLink(c *call, query url.Values, page int, rel string) string {
	query.Set("page", strconv.Itoa(page))
	return fmt.Sprintf(`<%s/api/v4%s?%s>; rel=%q`, s.base(c.Request), c.URL.EscapedPath(), query.Encode(), rel)
}

var maintainers = []any{map[string]any{"id": 1, "access_level": 40, "access_level_description": "Maintainers", "user_id": nil, "group_id": nil}}

func (s *Server) readBranches(c *call, p *Project) answer {
	var list []any
	for _, b := range p.branches {
		list = append(list, map[string]any{
			"id": b.id, "name": b.name, "push_access_levels": maintainers, "merge_access_levels": maintainers,
			"unprotect_access_levels": []any{}, "allow_force_push": false, "code_owner_approval_required": false, "inherited": false,
		})
	}
	return s.page(c, list)
}

func (s *Server) readTags(c *call, p *Project) answer {
	var list []any
	for _, t := range p.tags {
		list = append(list, map[string]any{"name": t.name, "create_access_levels": maintainers})
	}
	return s.page(c, list)
}

func (s *Server) readEnvironments(c *call, p *Project) answer {
	if s.opts.NoProtectedEnvironments {
		return jsonAnswer(http.StatusNotFound, map[string]string{"error": "404 Not Found"})
	}
	var list []any
	for _, e := range p.environments {
		list = append(list, map[string]any{
			"name": e.name, "deploy_access_levels": maintainers, "required_approval_count": 0, "approval_rules": []any{},
		})
	}
	return s.page(c, list)
}
