package kubernetes

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// maxName keeps a pod's name usable as a host name and as a label's value.
const maxName = 63

// podName names the pod of a job's n-th attempt (from 0). The same job always
// gets the same name, so that creating a pod twice is "already exists".
func podName(id Identity, plan *job.Plan, attempt int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", id.GitLabURL, plan.JobID, attempt))
	unique := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	name := dnsLabel(fmt.Sprintf("runner-%s-project-%d-concurrent-%d", id.ShortToken, plan.ProjectID, plan.ConcurrentProjectID))
	if room := maxName - 1 - len(unique); len(name) > room {
		name = name[:room]
	}
	return strings.TrimRight(name, "-") + "-" + unique
}

// secretName names the Secret with the job's plan, pullSecretName the one with
// its registry credentials. All attempts share them.
func secretName(id Identity, plan *job.Plan) string { return podName(id, plan, 0) }

func pullSecretName(id Identity, plan *job.Plan) string { return podName(id, plan, 0) + "-pull" }

// recordName names the Secret with the job's record.
func recordName(id Identity, plan *job.Plan) string { return podName(id, plan, 0) + "-record" }

// dnsLabel replaces what may not stand in a DNS label.
func dnsLabel(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
			return c
		}
		return '-'
	}, s)
}

// labelValue makes s fit to be a label's value.
func labelValue(s string) string {
	s = strings.Map(func(c rune) rune {
		if isAlnum(c) || c == '-' || c == '_' || c == '.' {
			return c
		}
		return '_'
	}, s)
	edge := func(c rune) bool { return !isAlnum(c) }
	s = strings.TrimLeftFunc(s, edge)
	if len(s) > maxName {
		s = s[:maxName]
	}
	return strings.TrimRightFunc(s, edge)
}

func isAlnum(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
