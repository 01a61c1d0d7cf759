package policy

import "fmt"

// Ran is an image as a pod has it.
type Ran struct {
	Service int // as in Image.Service
	Image   string
}

// DecidePod judges the images that a pod runs, by the facts of which Decide has
// let the job through: whatever is not what was judged then is judged now.
func (r *Rules) DecidePod(f Facts, ran []Ran) Decision {
	judged := f
	judged.Services = append([]Image(nil), f.Services...)
	at := map[int]*Image{Build: &judged.Image}
	for i := range judged.Services {
		at[judged.Services[i].Service] = &judged.Services[i]
	}
	changed := false
	for _, c := range ran {
		was, known := at[c.Service]
		switch {
		case !known:
			judged.Services = append(judged.Services, Image{Name: c.Image, Service: c.Service})
		case c.Image == was.Reference():
			continue
		case r.Promised(*was) != "":
			return r.denied(r.broken(*was, c))
		default:
			*was = Image{Name: c.Image, Service: c.Service, User: was.User}
		}
		changed = true
	}
	if !changed {
		return Decision{Action: Allow}
	}
	return r.Decide(judged)
}

func (r *Rules) broken(was Image, c Ran) denial {
	rule := r.Promised(was)
	return denial{
		rule: rule, key: "policy." + rule, fact: fmt.Sprintf("image of the pod = %s", c.Image), allowed: []string{was.Reference()},
		reason: fmt.Sprintf("the pod would run %q in place of %q, which was judged; look for a webhook that changes pods", c.Image, was.Reference()),
	}
}
