package gitlab

import (
	"regexp"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// Prefixes that say nothing about which token it is, in the order in which
// GitLab Runner removes them.
var tokenPrefixes = []*regexp.Regexp{
	regexp.MustCompile(`^glrt-(t[123]_)?|^t[123]_|^glrtr-`),
	regexp.MustCompile(`^glcbt-`),
	regexp.MustCompile(`^GR[0-9A-Fa-f]{7}`),
}

const shortTokenLength = 9

// ShortToken returns the piece of a token that may be shown: in names of pods,
// in the paths of caches and in the labels of metrics. It is the same piece
// that GitLab Runner uses.
func ShortToken(token job.Secret) string {
	text := token.Reveal()
	for _, prefix := range tokenPrefixes {
		text = prefix.ReplaceAllString(text, "")
	}
	if len(text) > shortTokenLength {
		text = text[:shortTokenLength]
	}
	return text
}

// NewFlow tells whether token is the authentication token of a runner that was
// created in GitLab: such a token is verified, never registered, and its
// settings (tags, locked, …) belong to the server.
func NewFlow(token job.Secret) bool { return strings.HasPrefix(token.Reveal(), "glrt-") }
