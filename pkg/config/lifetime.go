package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Lifetime is a time of days or more: "30d", "2w", "1w3d". What Go writes as a
// duration is understood as well ("720h"), and 0 or "" is none.
type Lifetime time.Duration

const day = 24 * time.Hour

// Duration returns l as the standard library's type.
func (l Lifetime) Duration() time.Duration { return time.Duration(l) }

// Days returns l in days, rounded up: stores count whole ones.
func (l Lifetime) Days() int { return int((time.Duration(l) + day - 1) / day) }

func (l *Lifetime) decode(v any) error {
	const want = `write days or weeks in quotes, such as "30d"`
	if n, ok := v.(int64); ok && n == 0 {
		return nil
	}
	s, ok := v.(string)
	if !ok {
		return wrongType(v, want)
	}
	d, ok := ParseLifetime(s)
	switch {
	case !ok:
		return fmt.Errorf("%q is no time that a cache can live; %s", s, want)
	case d != 0 && d < day:
		return fmt.Errorf("%q is too short: stores count days; write 1d or more", s)
	case d > longestLifetime:
		return fmt.Errorf("%q is too long; write 3650d at most, or 0 for no end", s)
	}
	*l = Lifetime(d)
	return nil
}

const longestLifetime = 3650 * day

var daysAndWeeks = regexp.MustCompile(`^(?:([0-9]{1,4})w)?(?:([0-9]{1,4})d)?(.*)$`)

// ParseLifetime reads a time as config.toml has it: weeks, days, and what
// [time.ParseDuration] knows, in this order. "" is 0.
func ParseLifetime(s string) (time.Duration, bool) {
	parts := daysAndWeeks.FindStringSubmatch(strings.TrimSpace(s))
	if parts == nil {
		return 0, false
	}
	var days int64
	for i, unit := range []int64{7, 1} {
		if parts[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(parts[i+1], 10, 64)
		if err != nil {
			return 0, false
		}
		days += n * unit
	}
	total := time.Duration(days) * day
	rest := parts[3]
	if rest == "" {
		return total, true
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, false
	}
	return total + min(d, 2*longestLifetime), true // the sum has to stay in range
}
