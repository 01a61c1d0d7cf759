package demo

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// follow prints a job's log as GitLab shows it, while it grows, until the job
// has ended.
func follow(ctx context.Context, out io.Writer, j *standin.Job) error {
	printed := 0
	print := func(text string) {
		fmt.Fprint(out, indent(withoutSections(text[printed:])))
		printed = len(text)
	}
	return j.Until(ctx, func(j *standin.Job) bool {
		over := final(j.State())
		text := j.Text()
		if end := strings.LastIndexByte(text, '\n') + 1; end > printed {
			print(text[:end])
		}
		if over {
			print(text)
		}
		return over
	})
}

func final(s standin.State) bool {
	return s == standin.Success || s == standin.Failed || s == standin.Canceled
}

var sectionMarker = regexp.MustCompile(`section_(?:start|end):\d+:[A-Za-z0-9_.-]+(?:\[[^\]]*\])?\r\x1b\[0K`)

// withoutSections removes the markers around the parts of a log that GitLab's
// page can fold, and the lines that held nothing else.
func withoutSections(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		shown := sectionMarker.ReplaceAllString(line, "")
		if shown != line && strings.TrimSpace(shown) == "" {
			continue
		}
		out.WriteString(shown)
	}
	return out.String()
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	trimmed := strings.TrimSuffix(text, "\n")
	return "    " + strings.ReplaceAll(trimmed, "\n", "\n    ") + "\n"
}

// summary prints the table at the end and says whether every job ended as it
// had to.
func summary(out io.Writer, steps []step, jobs []*standin.Job) bool {
	fine := true
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "STAGE\tJOB\tSTATE\tEXIT CODE\tREASON\tTOOK\tAS EXPECTED")
	for i, s := range steps {
		j := jobs[i]
		state := string(j.State())
		if j.State() == standin.Failed && s.allowFailure {
			state += " (allowed)"
		}
		expected := j.State() == s.want && j.ExitCode() == s.exitCode && j.FailureReason() == s.reason
		fine = fine && expected
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
			s.job.Stage, s.job.Name, state, j.ExitCode(), dash(j.FailureReason()), took(j), yesNo(expected))
	}
	table.Flush()
	return fine
}

func took(j *standin.Job) string {
	var from, to time.Time
	for _, e := range j.Events() {
		switch e.Kind {
		case standin.EventHandedOut:
			from = e.Time
		case standin.EventFinished:
			to = e.Time
		}
	}
	return to.Sub(from).Round(10 * time.Millisecond).String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}
