package chaos

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"
)

// A Job prints numbered lines in batches, and ends with an exit code.
type Job struct {
	Number         int
	Batches, Batch int // Batch lines each
	Pause          time.Duration
	ExitCode       int
	Hook           time.Duration // how long a hook in front of its sources takes; 0: it has none
}

const (
	hookedEvery = 5  // jobs: those whose pod may be deleted before the script
	longEvery   = 60 // jobs: whose log is longer than what a node keeps of it
)

func newJob(r *rand.Rand, number int) Job {
	j := Job{Number: number, Batches: 15 + r.IntN(30), Batch: 1 + r.IntN(20), Pause: 300 * time.Millisecond}
	if r.IntN(3) == 0 {
		j.ExitCode = 1 + r.IntN(120)
	}
	switch {
	case number%hookedEvery == hookedEvery-1:
		j.Hook = 6 * time.Second
	case number%longEvery == longEvery/2:
		j.Batches, j.Batch, j.Pause = 3, 80_000, 2*time.Second
	}
	return j
}

// Name is the job's name; its lines begin with it.
func (j Job) Name() string { return fmt.Sprintf("job %d", j.Number) }

// Lines is how many it prints.
func (j Job) Lines() int { return j.Batches * j.Batch }

// Long reports whether the job prints more than a node keeps.
func (j Job) Long() bool { return j.Lines() > 100_000 }

// Line is its line n, counted from 1, without the end.
func (j Job) Line(n int) string { return fmt.Sprintf("%s line %d", j.Name(), n) }

// Output is all that it prints.
func (j Job) Output() string {
	var b strings.Builder
	for n := 1; n <= j.Lines(); n++ {
		b.WriteString(j.Line(n) + "\n")
	}
	return b.String()
}

// Script is its script. The first command prints all lines.
func (j Job) Script() []string {
	script := []string{fmt.Sprintf(
		`n=0; for batch in $(seq %d); do i=0; while [ $i -lt %d ]; do i=$((i+1)); n=$((n+1)); echo "%s line $n"; done; sleep %g; done`,
		j.Batches, j.Batch, j.Name(), j.Pause.Seconds())}
	if j.ExitCode != 0 {
		script = append(script, fmt.Sprintf("exit %d", j.ExitCode))
	}
	return script
}

// HookBegun is what the job's hook prints first.
const HookBegun = "the hook has begun"

// HookScript is the hook in front of the job's sources.
func (j Job) HookScript() []string {
	return []string{fmt.Sprintf("echo %s; sleep %g", HookBegun, j.Hook.Seconds())}
}

var numbered = regexp.MustCompile(`(?m)^job \d+ line \d+$`)

// Check compares the numbered lines of a log with those that the job prints. It
// returns how many are as they should be, and an error that names the first that
// is not. Where cut is set the last ones may be missing.
func (j Job) Check(text string, cut bool) (int, error) {
	got := numbered.FindAllString(text, -1)
	for i, line := range got {
		if want := j.Line(i + 1); i >= j.Lines() {
			return i, fmt.Errorf("%q comes behind the last of the job's %d lines", line, j.Lines())
		} else if line != want {
			return i, fmt.Errorf("numbered line %d is %q, want %q", i+1, line, want)
		}
	}
	if len(got) < j.Lines() && !cut {
		return len(got), fmt.Errorf("the lines end with number %d, want %d", len(got), j.Lines())
	}
	return len(got), nil
}

// Around returns some of a log around numbered line n, counted from 0, for people.
func Around(text string, n int) string {
	const before, behind = 3000, 3000
	at := len(text)
	if found := numbered.FindAllStringIndex(text, n+1); len(found) > n {
		at = found[n][0]
	}
	return text[max(0, at-before):min(len(text), at+behind)]
}
