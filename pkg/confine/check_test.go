package confine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/confine"
)

func TestCheck(t *testing.T) {
	deep := strings.TrimSuffix(strings.Repeat("d/", confine.MaxDepth), "/")
	long := strings.Repeat(strings.Repeat("c", 127)+"/", 31) + strings.Repeat("c", 128)
	tests := []struct {
		name, path string
		ok         bool
	}{
		{name: "a file", path: "a", ok: true},
		{name: "a file in folders", path: "a/b/c.txt", ok: true},
		{name: "dots that are no components", path: "..a/b../.c/...", ok: true},
		{name: "bytes that are no text", path: "a\xff\n/\x01", ok: true},
		{name: "as many components as can be", path: deep, ok: true},
		{name: "one component more", path: deep + "/d"},
		{name: "as long as a component can be", path: strings.Repeat("c", 255), ok: true},
		{name: "a component one byte longer", path: "a/" + strings.Repeat("c", 256)},
		{name: "as long as can be", path: long, ok: true},
		{name: "one byte longer", path: long + "c"},
		{name: "empty", path: ""},
		{name: "absolute", path: "/a"},
		{name: "only a slash", path: "/"},
		{name: "a slash at the end", path: "a/"},
		{name: "an empty component", path: "a//b"},
		{name: "itself", path: "."},
		{name: "itself inside", path: "a/./b"},
		{name: "up", path: ".."},
		{name: "up at the start", path: "../a"},
		{name: "up inside", path: "a/../b"},
		{name: "up at the end", path: "a/.."},
		{name: "a NUL byte", path: "a\x00b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := confine.Check(tt.path)
			if (err == nil) != tt.ok {
				t.Errorf("Check(%.100q) = %v, want ok %v", tt.path, err, tt.ok)
			}
			if err != nil && !errors.Is(err, confine.ErrPath) {
				t.Errorf("Check(%.100q) = %v, want an ErrPath", tt.path, err)
			}
		})
	}
}
