package confine

import (
	"errors"
	"fmt"
	"strings"
)

// What a path may have at most.
const (
	MaxPath      = 4096 // bytes
	MaxComponent = 255  // bytes
	MaxDepth     = 128  // components
)

// ErrPath is what every error of [Check] is.
var ErrPath = errors.New("path not allowed")

// Check says whether name can be a path below a root: relative, separated by
// slashes, without NUL, without empty, "." and ".." components, within the
// limits above. It need not be UTF-8.
func Check(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrPath)
	case len(name) > MaxPath:
		return fmt.Errorf("%w: %.80q… has %d bytes, more than %d", ErrPath, name, len(name), MaxPath)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("%w: %.200q has a NUL byte", ErrPath, name)
	}
	depth := 0
	for rest, more := name, true; more; {
		var component string
		component, rest, more = strings.Cut(rest, "/")
		depth++
		switch {
		case component == "":
			return fmt.Errorf("%w: %.200q is absolute or has an empty component", ErrPath, name)
		case component == "." || component == "..":
			return fmt.Errorf("%w: %.200q has a component %q", ErrPath, name, component)
		case len(component) > MaxComponent:
			return fmt.Errorf("%w: %.200q has a component of %d bytes, more than %d", ErrPath, name, len(component), MaxComponent)
		case depth > MaxDepth:
			return fmt.Errorf("%w: %.200q has more than %d components", ErrPath, name, MaxDepth)
		}
	}
	return nil
}
