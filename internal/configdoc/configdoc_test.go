package configdoc

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/config"
)

// TestKeys looks at a few rows of each kind.
func TestKeys(t *testing.T) {
	text, err := Keys("../../pkg/config")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| `check_interval` | number, seconds | `3` | the same | between two questions for a job |\n",
		"| `url` | text | has to be set | the same |",
		"| `cpu_limit`, `service_cpu_limit`, `helper_cpu_limit` | text |  | the same |",
		"| `pin_images` | true or false | `false` | – |",
		"| `ca_file` | text |  | – | PEM;",
		"| `lifetime` | days, \"30d\" | `0` | – |",
		"[`[[runners.policy.rules]]`](#runnerspolicyrules)",
		"The same keys stand in `[runners.kubernetes.helper_container_security_context]`,",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("no row %q", row)
		}
	}
}

func TestWithoutDefault(t *testing.T) {
	tests := []struct {
		text, want string
		value      any
	}{
		{"between two questions; 3 s", "between two questions", 3 * config.Seconds(time.Second)},
		{"the pause; 60m", "the pause", config.Duration(time.Hour)},
		{"of job pods; \"default\"", "of job pods", "default"},
		{"once a day; true", "once a day", true},
		{"how many; 0 means 10", "how many; 0 means 10", 0},
		{"of this entry; 5", "of this entry; 5", 4},
	}
	for _, tt := range tests {
		if got := withoutDefault(tt.text, reflect.ValueOf(tt.value)); got != tt.want {
			t.Errorf("withoutDefault(%q, %v) = %q, want %q", tt.text, tt.value, got, tt.want)
		}
	}
}

func TestUndescribedVariable(t *testing.T) {
	if _, err := Environment("testdata"); err == nil || !strings.Contains(err.Error(), "RUNNERD_NEW: nothing says what") {
		t.Errorf("Environment of a source that reads RUNNERD_NEW: %v", err)
	}
}
