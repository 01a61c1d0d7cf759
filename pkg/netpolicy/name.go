package netpolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// allJobs is the name of a namespace's policy for all job pods, and the start
// of the others' names.
const allJobs = "runnerd-jobs"

// tierName returns the name of a tier's policy. A label's value may hold
// capitals, dots and underscores, an object's name may not hold all of them
// everywhere: such a tier's name is rewritten, and gets a hash so that Prod and
// prod stay two. The dot before it keeps it apart from every tier that is
// written as it is.
func tierName(tier string) string {
	if len(validation.IsDNS1123Label(tier)) == 0 {
		return allJobs + "-" + tier
	}
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(tier))
	if len(readable) > validation.DNS1123LabelMaxLength {
		readable = readable[:validation.DNS1123LabelMaxLength]
	}
	sum := sha256.Sum256([]byte(tier))
	return strings.TrimRight(allJobs+"-"+readable, "-") + "." + hex.EncodeToString(sum[:5])
}
