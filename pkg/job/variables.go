package job

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Expand replaces $NAME and ${NAME} in text by the values of vars, one level
// deep: what a value itself refers to stays as it is. A file variable yields
// its path below tempDir. An unknown name yields nothing, as do $*, $#, $@,
// $!, $?, $- and $ with one digit; $$ yields a dollar sign. Shell forms such as
// ${A:-b} are not understood.
//
// The rules are GitLab Runner's, which stand on [os.Expand].
func Expand(text string, vars []Variable, tempDir string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	return os.Expand(text, func(name string) string {
		if name == "$" {
			return "$"
		}
		v, ok := Lookup(vars, name)
		if ok && v.File {
			return path.Join(tempDir, v.Key)
		}
		return v.Value
	})
}

// expandAll expands every variable that is not raw against the unexpanded
// list, and keeps only the winner of each key, in the place of its first use.
func expandAll(vars []Variable, tempDir string) []Variable {
	values := make(map[string]Variable, len(vars))
	for _, v := range vars {
		values[v.Key] = v
	}
	lookup := func(name string) string {
		v := values[name]
		switch {
		case name == "$":
			return "$"
		case v.File:
			return path.Join(tempDir, v.Key)
		}
		return v.Value
	}
	out := make([]Variable, 0, len(values))
	seen := make(map[string]bool, len(values))
	for _, v := range vars {
		if v.Key == "" || seen[v.Key] {
			continue
		}
		seen[v.Key] = true
		v = values[v.Key]
		if !v.Raw && strings.Contains(v.Value, "$") {
			v.Value = os.Expand(v.Value, lookup)
		}
		out = append(out, v)
	}
	return out
}

// masks returns the phrases that the log must not show, longest first.
func masks(vars []Variable, more ...Secret) []string {
	var phrases []string
	for _, v := range vars {
		if v.Masked {
			phrases = append(phrases, strings.TrimSpace(v.Value))
		}
	}
	for _, s := range more {
		phrases = append(phrases, strings.TrimSpace(s.Reveal()))
	}
	slices.SortFunc(phrases, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	phrases = slices.Compact(phrases)
	return slices.DeleteFunc(phrases, func(p string) bool { return p == "" })
}

// settings reads the options that users give as variables. A value that makes
// no sense leaves the default in place and is told in warnings.
type settings struct {
	vars     []Variable
	warnings []string
}

func (s *settings) warn(key, value, want string) {
	s.warnings = append(s.warnings, key+"="+strconv.Quote(value)+" is not valid and was ignored: use "+want)
}

// once adds a warning that several caches may give reason for.
func (s *settings) once(warning string) {
	if !slices.Contains(s.warnings, warning) {
		s.warnings = append(s.warnings, warning)
	}
}

func (s *settings) boolean(key string, fallback bool) bool {
	value := Value(s.vars, key)
	if value == "" {
		return fallback
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		s.warn(key, value, "true or false")
		return fallback
	}
	return b
}

func (s *settings) number(key string, fallback, low, high int) int {
	value := Value(s.vars, key)
	if value == "" {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		s.warn(key, value, "a whole number")
		return fallback
	}
	if n < low || n > high {
		s.warn(key, value, "a number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
		return min(max(n, low), high)
	}
	return n
}

// size reads a number of bytes; 0 means that there is none.
func (s *settings) size(key string) int64 {
	value := Value(s.vars, key)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		s.warn(key, value, "a number of bytes")
		return 0
	}
	return n
}

func (s *settings) duration(key string, fallback time.Duration) time.Duration {
	value := Value(s.vars, key)
	if value == "" {
		return fallback
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		s.warn(key, value, "a duration such as 90m or 1h30m")
		return fallback
	}
	return d
}

// minMeterInterval keeps a log readable, as it is GitLab Runner's.
const minMeterInterval = time.Second

// meterInterval is how often the progress of transfers is printed; 0 is never.
func meterInterval(s *settings) time.Duration {
	d := s.duration("TRANSFER_METER_FREQUENCY", 0)
	if d > 0 {
		d = max(d, minMeterInterval)
	}
	return d
}

func (s *settings) choice(key, fallback string, choices ...string) string {
	value := Value(s.vars, key)
	if value == "" {
		return fallback
	}
	if !slices.Contains(choices, value) {
		s.warn(key, value, strings.Join(choices, ", "))
		return fallback
	}
	return value
}

// flags splits a variable at white space; "none" yields nil.
func (s *settings) flags(key, fallback string) []string {
	value := Value(s.vars, key)
	if value == "" {
		value = fallback
	}
	if value == "none" {
		return nil
	}
	return strings.Fields(value)
}
