package policy

// A subject is the job that is being decided about.
type subject struct {
	Facts
	images  []named        // the job's image, when it has one, and its services
	pending bool           // digests will be looked up
	vars    map[string]any // of expressions; made when first needed
	unsure  []string       // those of vars that are not known
}

// named is one image of a job.
type named struct {
	Image
	parsed image
	err    error // of parsing
}

func newSubject(f Facts, pending bool) *subject {
	s := &subject{Facts: f, pending: pending}
	// Only the local executor runs jobs without an image: nothing to judge then.
	if f.Image.Name != "" {
		s.images = append(s.images, newNamed(f.Image))
	}
	for _, service := range f.Services {
		s.images = append(s.images, newNamed(service))
	}
	return s
}

func newNamed(i Image) named {
	n := named{Image: i}
	n.parsed, n.err = parseImage(i.Name)
	n.parsed.resolved = i.Digest
	return n
}

func (n named) isService() bool { return n.Service != Build }

func (n named) kind() string {
	if n.isService() {
		return "service"
	}
	return "image"
}

// truth asks a list; invalid is the answer for what is no image's name.
func (n named) truth(ask func(image, bool) truth, pending bool, invalid truth) truth {
	if n.err != nil {
		return invalid
	}
	return ask(n.parsed, pending)
}

// String returns the name as the job has it and, where that is something else,
// what it means.
func (n named) String() string {
	if n.err != nil || n.parsed.String() == n.Name && n.Digest == "" {
		return n.Name
	}
	full := n.parsed.String()
	if n.Digest != "" {
		full += ", which is " + n.Digest
	}
	return n.Name + " (in full: " + full + ")"
}
