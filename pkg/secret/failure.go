package secret

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

var (
	errMissing  = errors.New("there is no such secret or field; correct the path, or write the secret")
	errForeign  = errors.New("this runner does not connect to that server; ask its operator to add it to vault_servers in [runners.secrets]")
	errRedirect = errors.New("the server redirects, and redirects are not followed: set VAULT_SERVER_URL to the address that answers")
)

// A statusError is a server's refusal.
type statusError struct {
	did    string // what was asked
	status int
	said   string
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s: HTTP %d", e.did, e.status)
	if e.said != "" {
		text += ": " + e.said
	}
	switch {
	case e.status == http.StatusForbidden && e.did == didRead:
		text += "; let the role's policies read the path"
	case e.status == http.StatusForbidden, e.status == http.StatusBadRequest, e.status == http.StatusUnauthorized:
		text += "; compare VAULT_AUTH_ROLE, VAULT_AUTH_PATH and the ID token's audience with the server's auth method"
	}
	return text
}

// What is asked of a server.
const (
	didLogin = "login"
	didRead  = "read"
)

// A networkError says that there was no whole answer.
type networkError struct {
	did string
	err error
}

func (e *networkError) Error() string {
	return e.did + ": " + e.err.Error() + "; check that the runner reaches the server and trusts its certificate"
}
func (e *networkError) Unwrap() error { return e.err }

// An answerError says that an answer is not what a Vault says.
type answerError struct{ did, problem string }

func (e *answerError) Error() string {
	return e.did + ": " + e.problem + "; check that VAULT_SERVER_URL is a Vault's"
}

// temporary reports whether the same request may be answered later.
func temporary(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.status == http.StatusTooManyRequests || status.status == http.StatusPreconditionFailed || status.status >= 500
	}
	var network *networkError
	return errors.As(err, &network) && !errors.Is(err, errForeign)
}

// failureOf says which secret it is about, and whose fault it is.
func failureOf(s job.SecretRequest, err error) *job.Failure {
	reason := job.RunnerConfigurationError
	if temporary(err) {
		reason = job.ExternalDependencyFailure
	}
	v := s.Vault
	where := strings.Join([]string{v.URL, strings.Trim(v.EnginePath, "/"), strings.Trim(v.Path, "/")}, "/")
	if v.Namespace != "" {
		where += " in namespace " + v.Namespace
	}
	return job.Failf(reason, "secret %q (field %q of %s): %v", s.Name, v.Field, where, err)
}
