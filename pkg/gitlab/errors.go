package gitlab

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/httpwait"
	"github.com/runnerd/runnerd/pkg/job"
)

// A StatusError is an answer of GitLab that is not what was asked for.
type StatusError struct {
	Op         string // for example "POST /api/v4/jobs/request"
	Status     int
	Message    string        // what GitLab or a proxy says; may be empty
	RetryAfter time.Duration // how long GitLab asks to wait; 0 when it does not say
	RequestID  string        // X-Request-Id of the answer, to find it in GitLab's logs
}

func (e *StatusError) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "gitlab: %s: %d %s", e.Op, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		fmt.Fprintf(&out, ": %s", e.Message)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&out, ", retry after %s", e.RetryAfter.Round(time.Second))
	}
	if e.RequestID != "" {
		fmt.Fprintf(&out, " (request %s)", e.RequestID)
	}
	return out.String()
}

// HTTPStatus returns the status; pollers tell errors apart by it.
func (e *StatusError) HTTPStatus() int { return e.Status }

// RetryDelay returns RetryAfter.
func (e *StatusError) RetryDelay() time.Duration { return e.RetryAfter }

// statusError makes an error of a reply. The secrets were in the request, so a
// server or proxy may echo them; they are cut out of its message.
func statusError(op string, r reply, secrets ...job.Secret) *StatusError {
	return &StatusError{
		Op: op, Status: r.StatusCode, Message: r.message(secrets...),
		RetryAfter: httpwait.Told(r.Header, time.Now()), RequestID: r.Header.Get("X-Request-Id"),
	}
}

const maxMessage = 300

// message makes one line of an error answer: JSON of several shapes, or
// whatever a proxy writes.
func (r reply) message(secrets ...job.Secret) string {
	if target := r.Header.Get("Location"); target != "" && r.StatusCode/100 == 3 {
		return masked(fmt.Sprintf("redirected to %q; set the runner's url to where GitLab is", target), secrets)
	}
	text := string(r.body)
	var said struct {
		Message any `json:"message"`
		Error   any `json:"error"`
	}
	if json.Unmarshal(r.body, &said) == nil {
		switch {
		case said.Message != nil:
			text = flatten(said.Message)
		case said.Error != nil:
			text = flatten(said.Error)
		}
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(masked(text, secrets), "?")), " ")
	text = strings.TrimPrefix(text, fmt.Sprintf("%d %s", r.StatusCode, http.StatusText(r.StatusCode)))
	text = strings.TrimPrefix(text, " - ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

// masked cuts the secrets out of a text.
func masked(text string, secrets []job.Secret) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s.Reveal(), s.String())
		}
	}
	return text
}

// flatten writes {"field": ["text"]} as "field: text".
func flatten(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for key, value := range v {
			parts = append(parts, key+": "+flatten(value))
		}
		slices.Sort(parts)
		return strings.Join(parts, "; ")
	case []any:
		var parts []string
		for _, value := range v {
			parts = append(parts, flatten(value))
		}
		return strings.Join(parts, ", ")
	default:
		return fmt.Sprint(v)
	}
}
