package gitlab

import (
	"strings"
	"testing"
	"time"
)

func TestWildcards(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"main", "main", true},
		{"main", "main2", false},
		{"main", "amain", false},
		{"main", "MAIN", false},
		{"Main", "main", false},
		{"main", "", false},
		{"main", "main\n", false},
		{"main", "main ", false},
		{"", "", true},
		{"", "main", false},
		{"*", "main", true},
		{"*", "a/b/c", true},
		{"*", "", true},
		{"**", "x", true},
		{"*-stable", "16-1-stable", true},
		{"*-stable", "-stable", true},
		{"*-stable", "stable", false},
		{"*-stable", "16-1-stable-ee", false},
		{"*-stable*", "16-1-stable-ee", true},
		{"release/*", "release/1", true},
		{"release/*", "release/a/b", true},
		{"release/*", "release/", true},
		{"release/*", "release", false},
		{"release/*", "my/release/1", false},
		{"release/*/x", "release/a/b/x", true},
		{"release/*/x", "release/x", false},
		{"a*a", "a", false}, // both ends may not be the same letter
		{"a*a", "aa", true},
		{"aba*aba", "ababa", false},
		{"*ab*ab*", "ab", false},
		{"*ab*ab*", "xabxabx", true},
		{"*a*b", "ab-a", false},
		{"*a*b", "a-b-ab", true},
		{"a*b*c", "a-c-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"v1.0", "v1x0", false},
		{"v.*", "v1", false},
		{"v.*", "v.1", true},
		{"v[0-9]", "v1", false},
		{"v[0-9]", "v[0-9]", true},
		{"a|b", "a", false},
		{"(a)+", "a", false},
		{"^main$", "main", false},
		{`mai\n`, "mai\n", false},
		{"ma?n", "main", false},
		{"ma?n*", "ma?n-2", true},
		{"main", "ma*n", false}, // a star in a name is only a star
		{"ma*n", "ma*n", true},
		{"größe-*", "größe-1", true},
		{"größe-*", "grösse-1", false},
		{"gr*e", "größe", true},
		{"caf\u00e9", "cafe\u0301", false}, // as git: names are bytes
		{"раypal", "paypal", false},        // Cyrillic letters
	}
	for _, tt := range tests {
		if got := fits(tt.pattern, tt.name); got != tt.want {
			t.Errorf("fits(%q, %q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
		if got := slowFits(tt.pattern, tt.name); got != tt.want {
			t.Errorf("slowFits(%q, %q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}

// A matcher that tries again would need ages for these.
func TestWildcardsOfLongNames(t *testing.T) {
	name := strings.Repeat("a", 200_000)
	begin := time.Now()
	for pattern, want := range map[string]bool{
		strings.Repeat("a*", 1000) + "b":           false,
		strings.Repeat("a*", 1000):                 true,
		strings.Repeat("*a", 1000) + "*b*":         false,
		strings.Repeat("*", 100_000) + "a":         true,
		name:                                       true,
		name + "*":                                 true,
		name + "a*":                                false,
		"*" + strings.Repeat("a", 100_000) + "b*a": false,
	} {
		if got := fits(pattern, name); got != want {
			t.Errorf("fits(%.20q…, a…) = %v, want %v", pattern, got, want)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// slowFits says the same by trying everything: row by row, whether the first i
// characters of the pattern fit the first j of the name.
func slowFits(pattern, name string) bool {
	row := make([]bool, len(name)+1)
	row[0] = true
	for i := range len(pattern) {
		next := make([]bool, len(name)+1)
		for j := range next {
			switch {
			case pattern[i] == '*':
				next[j] = row[j] || j > 0 && next[j-1]
			case j > 0:
				next[j] = row[j-1] && pattern[i] == name[j-1]
			}
		}
		row = next
	}
	return row[len(name)]
}

func FuzzWildcard(f *testing.F) {
	f.Add("release/*", "release/a/b")
	f.Add("*ab*ab*", "xabxabx")
	f.Add("a*a", "a")
	f.Add("**", "")
	f.Add("größe-*", "größe-1")
	f.Add("v.*\x00*\xff", "v.\x00-\xff")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)*len(name) > 1<<16 {
			return
		}
		if got, want := fits(pattern, name), slowFits(pattern, name); got != want {
			t.Errorf("fits(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}
