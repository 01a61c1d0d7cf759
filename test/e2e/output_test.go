//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// printed reads the time that `date +%s%N` printed behind a prefix.
func printed(t testing.TB, text, prefix string) time.Time {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+prefix)
	if !ok {
		t.Fatalf("no line %q in the log:\n%s", prefix, text)
	}
	digits, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, n)
}

func TestTenMegabyteLog(t *testing.T) {
	t.Parallel()
	s := start(t, options{runner: "output_limit = 30000"})
	const lines = 100_000
	command := fmt.Sprintf(`seq -f "%%06.0f this line makes the log long: %s" %d`, strings.Repeat("x", 70), lines)
	j := s.add(standin.JobSpec{Name: "long", Script: []string{command}})
	s.finish(j, standin.Success)
	var output strings.Builder
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&output, "%06d this line makes the log long: %s\n", i, strings.Repeat("x", 70))
	}
	got := section(t, j.Text(), "step_script")
	want := scriptSection(output.String(), command)
	if sha256.Sum256([]byte(got)) != sha256.Sum256([]byte(want)) {
		t.Errorf("the log of %d bytes is not what was printed (%d bytes)", len(got), len(want))
	}
	t.Logf("%d bytes of output, %d with timestamps", len(want), len(j.Log()))
}

// TestOutputLimit: past the limit the head and the tail are kept.
func TestOutputLimit(t *testing.T) {
	t.Parallel()
	s := start(t, options{runner: "output_limit = 64"})
	j := s.add(standin.JobSpec{Name: "too long", Script: []string{"seq 1 100000", "echo the end is here"}})
	s.finish(j, standin.Success)
	text := j.Text()
	for _, want := range []string{"\n1\n2\n3\n", "exceeded limit of 65536 bytes", "\nthe end is here\n", "Job succeeded"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not hold %q:\n%.3000s", want, text)
		}
	}
	// The tail comes on top: a quarter of the limit, and a few lines.
	if len(j.Log()) > 84<<10 {
		t.Errorf("the log has %d bytes, want the limit of 64 KiB and a quarter", len(j.Log()))
	}
}

func TestOutputIsByteExact(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	long := strings.Repeat("0123456789", 30_000)
	tests := []struct {
		name    string
		image   string
		command string
		output  string
	}{
		{"a line of 300 KB", "debian", `printf '0123456789%.0s' $(seq 1 30000); echo`, long + "\n"},
		{"carriage returns", "debian", `printf 'one\r\ntwo\r\n'`, "one\r\ntwo\r\n"},
		{"UTF-8", "debian", `printf 'd\303\251j\303\240 vu \346\227\245\346\234\254 \360\237\232\200\n'`, "déjà vu 日本 🚀\n"},
		{"invalid UTF-8", "debian", `printf 'a\377\376b\n'`, "a\ufffd\ufffdb\n"},
		{"no line feed at the end", "debian", `printf 'half a line'`, "half a line\n"},
		{"standard error in order", "debian", `for i in 1 2 3; do echo out $i; echo err $i >&2; done`, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"},
		{"only sh", "sh", `i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done`, "0\n1\n2\n"},
		{"a process that holds the output open", "debian", `sleep 300 & echo started`, "started\n"},
	}
	jobs := make([]*standin.Job, len(tests))
	for i, tt := range tests {
		jobs[i] = s.add(standin.JobSpec{Name: tt.name, Script: []string{tt.command}, Image: standin.Image{Name: image(tt.image)}})
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.finish(jobs[i], standin.Success)
			if got, want := section(t, jobs[i].Text(), "step_script"), scriptSection(tt.output, tt.command); got != want {
				t.Errorf("script section = %.300q (%d bytes), want %.300q (%d bytes)", got, len(got), want, len(want))
			}
		})
	}
}

// TestMasking: a secret never reaches GitLab, nor the node's own log files, even
// when it is printed in two writes.
func TestMasking(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	const secret = "s3cr3t-horse-battery"
	j := s.add(standin.JobSpec{
		Name:      "secret",
		Variables: []standin.Variable{{Key: "PASSWORD", Value: secret, Masked: true}},
		Script: []string{
			`echo "whole: $PASSWORD."`,
			`printf 'split: s3cr3t-ho'; sleep 0.3; printf 'rse-battery.\n'`,
			`echo "token: $CI_JOB_TOKEN."`,
		},
	})
	s.finish(j, standin.Success)
	text := section(t, j.Text(), "step_script")
	for _, want := range []string{"\nwhole: [MASKED].\n", "\nsplit: [MASKED].\n", "\ntoken: [MASKED].\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not hold %q:\n%s", want, text)
		}
	}
}

// TestNonRoot: an image with a user of its own owns its checkout.
func TestNonRoot(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	j := s.add(standin.JobSpec{
		Name: "non-root", Image: standin.Image{Name: image("nonroot")},
		Script: []string{
			"id -u", "stat -c %u README.md lib", "echo more >> README.md", "mkdir -p out && touch out/file",
			"git status --short", "touch $HOME/file", `stat -c %a README.md`,
		},
		AfterScript: []string{"touch after"},
	})
	s.finish(j, standin.Success)
	text := section(t, j.Text(), "step_script")
	for _, want := range []string{"\n1000\n", " M README.md\n", "\n644\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not hold %q:\n%s", want, text)
		}
	}
}
