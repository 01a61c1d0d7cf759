package policy

import (
	"fmt"
	"strconv"
)

// numbers are the user or group ids that a job may ask for. Root has to be
// listed; otherwise an empty list allows everybody.
type numbers struct {
	rule, kind string
	allowed    []string
}

func (n numbers) decide(asked string) Decision {
	if asked == "" {
		return Decision{} // the image's own
	}
	d := Decision{Rule: n.rule, Asked: asked, Allowed: n.allowed}
	id, err := strconv.ParseUint(asked, 10, 31)
	if err != nil {
		d.Reason = fmt.Sprintf("%s %q is no number", n.kind, asked)
		return d
	}
	for _, text := range n.allowed {
		// As numbers: "0", "00" and "000" are all root.
		if a, err := strconv.ParseUint(text, 10, 31); err == nil && a == id {
			return Decision{}
		}
	}
	if len(n.allowed) == 0 {
		if id != 0 {
			return Decision{}
		}
		d.Allowed = []string{"everybody but 0 (root)"}
	}
	d.Reason = fmt.Sprintf("%s %s matches none of the %ss that a job may ask for", n.kind, asked, n.kind)
	return d
}
