package policy

// A truth is what is known of a condition. Of several conditions that all have
// to hold, the least counts.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func (t truth) String() string {
	switch t {
	case no:
		return "no"
	case yes:
		return "yes"
	}
	return "unknown"
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}
