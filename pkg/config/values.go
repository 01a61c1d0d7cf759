package config

import (
	"fmt"
	"time"
)

// A Duration is written as Go does: "30s", "1h30m".
type Duration time.Duration

// Duration returns d as the standard library's type.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

func (d *Duration) decode(v any) error {
	s, ok := v.(string)
	if !ok {
		return wrongType(v, `write a duration in quotes, such as "30s" or "1h30m"`)
	}
	if s == "" { // as GitLab Runner's own register leaves it
		return nil
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`%q is not a duration; write one such as "30s" or "1h30m"`, s)
	}
	*d = Duration(parsed)
	return nil
}

// Seconds are written as a whole number.
type Seconds time.Duration

// Duration returns s as the standard library's type.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }

func (s *Seconds) decode(v any) error {
	n, ok := v.(int64)
	if !ok {
		return wrongType(v, "write a whole number of seconds without quotes")
	}
	const most = int64(1<<63-1) / int64(time.Second)
	if n > most || n < -most {
		return fmt.Errorf("%d s is out of range; write a number of seconds", n)
	}
	*s = Seconds(time.Duration(n) * time.Second)
	return nil
}

// Strings are written as a list, or as one string for a list of one. An empty
// string is an empty list.
type Strings []string

func (s *Strings) decode(v any) error {
	const want = `write a string, or a list such as ["a", "b"]`
	switch v := v.(type) {
	case string:
		*s = nil
		if v != "" {
			*s = Strings{v}
		}
		return nil
	case []any:
		list := make(Strings, 0, len(v))
		for _, e := range v {
			text, ok := e.(string)
			if !ok {
				return wrongType(v, want)
			}
			list = append(list, text)
		}
		*s = list
		return nil
	default:
		return wrongType(v, want)
	}
}

// An Optional is a value that the file may leave out where leaving it out means
// something else than any value does.
type Optional[T bool | int64 | string] struct {
	Set   bool
	Value T
}

// Some returns an Optional that is set to v.
func Some[T bool | int64 | string](v T) Optional[T] { return Optional[T]{Set: true, Value: v} }

// Ptr returns a pointer to a copy of the value, nil when it is not set. This is
// how the Kubernetes API writes the same thing.
func (o Optional[T]) Ptr() *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// Or returns the value, or def when it is not set.
func (o Optional[T]) Or(def T) T {
	if o.Set {
		return o.Value
	}
	return def
}

func (o *Optional[T]) decode(v any) error {
	value, ok := v.(T)
	if !ok {
		return wrongType(v, wantOf[T]())
	}
	*o = Some(value)
	return nil
}

func wantOf[T any]() string {
	switch any(*new(T)).(type) {
	case bool:
		return wantBool
	case int64:
		return wantInt
	default:
		return wantString
	}
}

const (
	wantBool   = "write true or false without quotes"
	wantInt    = "write a whole number without quotes"
	wantString = "write text in quotes"
	wantTime   = "write a time such as 2026-01-31T12:00:00Z"
)

// wrongType says what v is and what it should be. It never shows the value: it
// may be a secret.
func wrongType(v any, want string) error {
	return fmt.Errorf("is %s; %s", describe(v), want)
}

func describe(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a decimal number"
	case bool:
		return "true or false"
	case time.Time:
		return "a time"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	case []any:
		return "a list"
	default:
		return "something else"
	}
}
