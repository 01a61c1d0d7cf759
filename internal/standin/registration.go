package standin

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const formType = "application/x-www-form-urlencoded"

var systemIDPattern = regexp.MustCompile(`^[sr]_[0-9a-zA-Z]{12}$`)

// runnerParams are the parameters of all calls about runners. GitLab takes
// them as JSON, as a form, or from the query.
type runnerParams struct {
	Token           string      `json:"token"`
	SystemID        string      `json:"system_id"`
	Info            *runnerInfo `json:"info"`
	Description     string      `json:"description"`
	MaintenanceNote string      `json:"maintenance_note"`
	AccessLevel     string      `json:"access_level"`
	Paused          bool        `json:"paused"`
	RunUntagged     *bool       `json:"run_untagged"`
	TagList         tagList     `json:"tag_list"`
}

// A tagList is an array or one comma-separated string.
type tagList []string

func (t *tagList) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = splitTags(s)
		return nil
	}
	var list []string
	err := json.Unmarshal(b, &list)
	*t = list
	return err
}

func splitTags(s string) tagList {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (s *Server) runnerParams(c *call) (runnerParams, *answer) {
	var p runnerParams
	media, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type")) // checkContentType has judged it
	switch {
	case len(c.body) == 0:
		p.fromValues(c.URL.Query())
	case media == formType:
		v, err := url.ParseQuery(string(c.body))
		if err != nil {
			return p, badRequest("form: " + err.Error())
		}
		p.fromValues(v)
	default:
		if err := json.Unmarshal(c.body, &p); err != nil {
			return p, badRequest("JSON: " + err.Error())
		}
	}
	if p.Token == "" {
		return p, badRequest("token is missing")
	}
	s.checkTokenHeader(c, "RUNNER-TOKEN", p.Token)
	return p, nil
}

func (p *runnerParams) fromValues(v url.Values) {
	p.Token, p.SystemID = v.Get("token"), v.Get("system_id")
	p.Description, p.MaintenanceNote = v.Get("description"), v.Get("maintenance_note")
	p.AccessLevel = v.Get("access_level")
	p.Paused, _ = strconv.ParseBool(v.Get("paused")) // as Rails: what is not true is false
	if b, err := strconv.ParseBool(v.Get("run_untagged")); err == nil {
		p.RunUntagged = &b
	}
	p.TagList = append(v["tag_list[]"], splitTags(v.Get("tag_list"))...)
}

func badRequest(why string) *answer {
	a := jsonAnswer(http.StatusBadRequest, map[string]string{"error": why})
	return &a
}

// checkTokenHeader compares the token in the header with the one in the body
// (14.4).
func (s *Server) checkTokenHeader(c *call, header, token string) {
	if got := c.Header.Get(header); got != "" && got != token {
		s.violate(c, "14.4", "header %s and the token in the body differ", header)
	}
}

// register is the old way: a registration token becomes a runner (1.4).
func (s *Server) register(c *call) answer {
	p, bad := s.runnerParams(c)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.opts.RegistrationDisabled: // 14.3
		return refuse(http.StatusGone, "Gone - runner registration disallowed")
	case !slices.Contains(s.opts.RegistrationTokens, p.Token):
		return refuse(http.StatusForbidden, "Forbidden - invalid token supplied")
	case len(p.TagList) == 0 && p.RunUntagged != nil && !*p.RunUntagged:
		return jsonAnswer(http.StatusBadRequest, map[string]any{"message": map[string]any{
			"tags_list": []string{"can not be empty when runner is not allowed to pick untagged jobs"},
		}})
	case len(p.MaintenanceNote) > 1024:
		return jsonAnswer(http.StatusBadRequest, map[string]any{"message": map[string]any{
			"maintenance_note": []string{"is too long (maximum is 1024 characters)"},
		}})
	case p.AccessLevel != "" && p.AccessLevel != "not_protected" && p.AccessLevel != "ref_protected":
		return *badRequest("access_level does not have a valid value")
	}
	r := s.addRunner(RunnerSpec{Token: "glrtr-" + randomHex(10), Description: p.Description, Paused: p.Paused})
	return r.credentials(http.StatusCreated)
}

// credentials is the answer to register, verify and reset.
func (r *Runner) credentials(status int) answer {
	v := map[string]any{"id": r.id, "token": r.token, "token_expires_at": nil}
	if !r.expires.IsZero() {
		v["token_expires_at"] = r.expires.UTC().Format(time.RFC3339)
	}
	return jsonAnswer(status, v)
}

func (s *Server) verify(c *call) answer {
	p, bad := s.runnerParams(c)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runnerByToken(p.Token)
	if r == nil {
		return refuse(http.StatusForbidden, "Forbidden")
	}
	r.contact(c, p.SystemID, p.Info)
	return r.credentials(http.StatusOK)
}

func (s *Server) unregister(c *call) answer {
	p, bad := s.runnerParams(c)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runnerByToken(p.Token)
	if r == nil {
		return refuse(http.StatusForbidden, "Forbidden")
	}
	if strings.HasPrefix(p.Token, "glrt-") {
		s.violate(c, "1.6", "DELETE /runners with a glrt- token deletes the runner for everybody; delete the manager")
	}
	r.deleted = true
	return answer{status: http.StatusNoContent}
}

func (s *Server) unregisterManager(c *call) answer {
	p, bad := s.runnerParams(c)
	if bad != nil {
		return *bad
	}
	if p.SystemID == "" { // 14.2
		return *badRequest("system_id is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runnerByToken(p.Token)
	if r == nil {
		return refuse(http.StatusForbidden, "Forbidden")
	}
	if r.managers[p.SystemID] == nil {
		return refuse(http.StatusNotFound, "Runner Manager Not Found")
	}
	delete(r.managers, p.SystemID)
	return answer{status: http.StatusNoContent}
}

func (s *Server) resetToken(c *call) answer {
	p, bad := s.runnerParams(c)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runnerByToken(p.Token)
	if r == nil {
		return refuse(http.StatusForbidden, "Forbidden")
	}
	return r.reset()
}

// resetTokenByID is for people: it takes a personal access token.
func (s *Server) resetTokenByID(c *call) answer {
	id, _ := strconv.ParseInt(c.PathValue("id"), 10, 64) // 0 is nobody's id
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.tokens, c.Header.Get("PRIVATE-TOKEN")) {
		return refuse(http.StatusUnauthorized, "Unauthorized")
	}
	for _, r := range s.runners {
		if r.id == id && !r.deleted {
			return r.reset()
		}
	}
	return refuse(http.StatusNotFound, "Not found")
}

// reset gives the runner a new token; the old one stops working.
func (r *Runner) reset() answer {
	prefix := ""
	for _, p := range []string{"glrt-", "glrtr-"} {
		if strings.HasPrefix(r.token, p) {
			prefix = p
		}
	}
	r.token = prefix + randomHex(10)
	r.renew()
	return r.credentials(http.StatusCreated)
}

// discovery is the job router's; like most installations this one has none.
func (s *Server) discovery(*call) answer {
	return refuse(http.StatusNotImplemented, "Not Implemented")
}
