package policy

import "fmt"

// Signed returns the positions in Config.Signatures of the demands that an image
// has to meet. As with what is denied, a tag makes no difference unless the glob
// has one.
func (r *Rules) Signed(i Image) []int {
	im := newNamed(i)
	var demands []int
	for n, l := range r.signatures {
		if im.truth(l.denies, false, yes) == yes {
			demands = append(demands, n)
		}
	}
	return demands
}

// Unsigned returns the decision on a job whose image does not meet a demand.
func (r *Rules) Unsigned(i Image, demand int, why error) Decision {
	im := newNamed(i)
	return r.denied(denial{
		rule: RuleSignatures, key: element("policy."+RuleSignatures, demand),
		fact:    im.kind() + " = " + im.String(),
		allowed: []string{"images of " + r.signatures[demand].String() + " with a cosign signature by a key of this runner"},
		reason:  fmt.Sprintf("%s %q has to be signed: %v", im.kind(), i.Name, why),
	})
}
