package joblog_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
)

func TestAddMask(t *testing.T) {
	tests := []struct {
		name  string
		parts []string
		want  string
	}{
		{"value", []string{"hunter2 before\n::add-mask::hunter2\na hunter2 b\n"}, "hunter2 before\n::add-mask::[MASKED]\na [MASKED] b\n"},
		{"in pieces", []string{"::add", "-mask", "::hun", "ter2\nhunt", "er2\n"}, "::add-mask::[MASKED]\n[MASKED]\n"},
		{"white space", []string{"::add-mask:: hunter2 \r\n", "hunter2\n"}, "::add-mask:: [MASKED] \r\n[MASKED]\n"},
		{"end without line feed", []string{"::add-mask::hunter2"}, "::add-mask::[MASKED]\n"},
		{"nothing", []string{"::add-mask::\n", "x\n"}, "::add-mask::\nx\n"},
		{"not at a line's beginning", []string{"x ::add-mask::x\n", "x\n"}, "x ::add-mask::x\nx\n"},
		{"not at a line's beginning, in pieces", []string{"x", "::add-mask::x\n", "x\n"}, "x::add-mask::x\nx\n"},
		{"almost", []string{"::add-musk::x\n::", ":\n::add-mas\n", "x\n"}, "::add-musk::x\n:::\n::add-mas\nx\n"},
		{"almost, at the end", []string{"::add-ma"}, "::add-ma\n"},
		{"two", []string{"::add-mask::one\n::add-mask::two\none two\n"}, "::add-mask::[MASKED]\n::add-mask::[MASKED]\n[MASKED] [MASKED]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			w := joblog.New(&out, options(job.LogOptions{}))
			write(w, tt.parts...)
			w.Flush()
			if got := out.String(); got != tt.want {
				t.Errorf("log %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAddMaskGoesForOwnLinesToo(t *testing.T) {
	var out bytes.Buffer
	w := joblog.New(&out, options(job.LogOptions{}))
	write(w, "::add-mask::hunter2\n")
	w.Error("hunter2 failed")
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("log %q", out.String())
	}
}

func TestAddMaskIsBounded(t *testing.T) {
	var out bytes.Buffer
	w := joblog.New(&out, options(job.LogOptions{}))
	for i := range 100 {
		write(w, "::add-mask::"+strings.Repeat(fmt.Sprintf("%d xyz ", i), 2000)+"\n")
	}
	write(w, "::add-mask::"+strings.Repeat("xyz", 10<<10), strings.Repeat("xyz", 10<<10), "\nnext\n")
	w.Flush()
	if got := strings.Count(out.String(), "is not masked: the job's values hold more than 1048576 bytes"); got == 0 {
		t.Error("no warning about the sum of the values")
	}
	if got := strings.Count(out.String(), "is not masked: it is longer than 16384 bytes"); got != 1 {
		t.Errorf("%d warnings about a long value, want 1", got)
	}
	if !strings.HasSuffix(out.String(), "\nnext\n") || strings.Contains(out.String(), "xyz") {
		t.Error("a value is readable, or what follows is not")
	}
}

func FuzzCommands(f *testing.F) {
	f.Add("a\n::add-mask::b\nb\n", uint8(3))
	f.Add("::add-mask::\n::add-mask::::add-mask::\n", uint8(1))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		render := func(parts ...string) string {
			var out bytes.Buffer
			w := joblog.New(&out, options(job.LogOptions{}))
			write(w, parts...)
			w.Flush()
			return out.String()
		}
		var parts []string
		for rest := text; rest != ""; {
			n := min(int(size%7)+1, len(rest))
			parts = append(parts, rest[:n])
			rest = rest[n:]
			size = size*5 + 1
		}
		if whole, split := render(text), render(parts...); whole != split {
			t.Errorf("%q in parts gives %q, as a whole %q", text, split, whole)
		}
	})
}
