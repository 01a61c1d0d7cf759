package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// numbers are the user or group ids that a job may ask for. Root has to be
// listed; otherwise an empty list allows everybody.
type numbers struct {
	rule, kind string
	allowed    []string
}

// decide returns why asked is not allowed, and what is.
func (n numbers) decide(asked string) (denial, bool) {
	if asked == "" {
		return denial{}, false // the image's own
	}
	d := denial{rule: n.rule, fact: n.kind + " = " + asked, allowed: n.allowed}
	id, err := strconv.ParseUint(asked, 10, 31)
	if err != nil {
		d.reason = fmt.Sprintf("%s %q is no number", n.kind, asked)
		return d, true
	}
	for _, text := range n.allowed {
		// As numbers: "0", "00" and "000" are all root.
		if a, err := strconv.ParseUint(text, 10, 31); err == nil && a == id {
			return denial{}, false
		}
	}
	if len(n.allowed) == 0 {
		if id != 0 {
			return denial{}, false
		}
		d.allowed = []string{"everybody but 0 (root)"}
	}
	d.reason = fmt.Sprintf("%s %s matches none of the %ss that a job may ask for", n.kind, asked, n.kind)
	return d, true
}

// decideUser judges "uid" or "uid:gid", as executor_opts asks for it.
func (r *Rules) decideUser(user string) (denial, bool) {
	uid, gid, hasGroup := strings.Cut(user, ":")
	if d, denied := r.users.decide(uid); denied || !hasGroup {
		return d, denied
	}
	return r.groups.decide(gid)
}
