package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxString is the most that Linux takes as one string of an environment,
	// with the zero byte at its end (MAX_ARG_STRLEN).
	maxString = 128 << 10

	// maxEnviron is the most that runnerd puts into an environment. Linux takes
	// a quarter of the stack's limit, 2 MiB as a rule, and that must also do for
	// the arguments of everything that the script starts.
	maxEnviron = 1 << 20
)

type variable struct{ key, value string }

// An environ is an environment in the making. The last value of a key wins.
type environ struct {
	list  []variable
	index map[string]int
}

func newEnviron(base []string) *environ {
	e := &environ{index: make(map[string]int)}
	for _, line := range base {
		if key, value, ok := strings.Cut(line, "="); ok {
			e.set(key, value)
		}
	}
	return e
}

func (e *environ) set(key, value string) {
	if i, ok := e.index[key]; ok {
		e.list[i].value = value
		return
	}
	e.index[key] = len(e.list)
	e.list = append(e.list, variable{key, value})
}

func (e *environ) get(key string) string {
	if i, ok := e.index[key]; ok {
		return e.list[i].value
	}
	return ""
}

// split returns the environment of a process, the variables that do not fit
// into one and can be set in the shell, and warnings about both and about
// those that can be set nowhere.
func (e *environ) split() (env []string, assign []variable, warnings []string) {
	var fit []variable
	total := 0
	for _, v := range e.list {
		size := len(v.key) + len("=") + len(v.value) + 1
		switch {
		case v.key == "" || strings.ContainsAny(v.key, "=\x00") || strings.Contains(v.value, "\x00"):
			warnings = append(warnings, fmt.Sprintf("variable %q is not set: its name is empty or has an =, or there is a zero byte in it", v.key))
		case size > maxString:
			assign = append(assign, v)
		default:
			fit = append(fit, v)
			total += size
		}
	}
	slices.SortStableFunc(fit, func(a, b variable) int { return cmp.Compare(len(a.value), len(b.value)) })
	for ; total > maxEnviron; fit = fit[:len(fit)-1] {
		last := fit[len(fit)-1]
		total -= len(last.key) + len("=") + len(last.value) + 1
		assign = append(assign, last)
	}
	for _, v := range fit {
		env = append(env, v.key+"="+v.value)
	}
	for i, v := range assign {
		if !isName(v.key) {
			warnings = append(warnings, fmt.Sprintf("variable %q is not set: %d bytes are too large for the environment, and no shell takes its name", v.key, len(v.value)))
			assign[i].key = ""
			continue
		}
		warnings = append(warnings, fmt.Sprintf("variable %s (%d bytes) is too large for the environment of a process: only the shell has it, not the programs that it starts; use a file variable", v.key, len(v.value)))
	}
	return env, slices.DeleteFunc(assign, func(v variable) bool { return v.key == "" }), warnings
}
