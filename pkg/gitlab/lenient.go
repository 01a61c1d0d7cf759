package gitlab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Servers of many versions, and users' YAML behind them, write the same value
// in more than one way. These types take what has one meaning only, and null
// for nothing.

// A text is a string; a number or a boolean is taken as written.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*t = ""
		return nil
	case len(b) > 0 && (b[0] == '{' || b[0] == '['):
		return fmt.Errorf("want a string, got %.40s", b)
	case len(b) > 0 && b[0] != '"':
		*t = text(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(t))
}

// texts is a list of strings; a single string is a list of one.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	*t = nil
	if len(b) > 0 && b[0] == '"' {
		b = append(append([]byte{'['}, b...), ']')
	}
	var list []text
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, s := range list {
		*t = append(*t, string(s))
	}
	return nil
}

// A number is a JSON number, or one in quotes.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" || s == "" {
		*n = 0
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("want a number, got %.40s", b)
	}
	*n = number(f)
	return nil
}

// int returns the whole part. Ids stay far below 2^53, where a float64 begins
// to skip integers.
func (n number) int() int64 {
	const most = 1 << 53
	return int64(min(max(float64(n), -most), most))
}

// count returns the whole part of a number that cannot be negative.
func (n number) count() int { return int(min(max(n.int(), 0), math.MaxInt32)) }
