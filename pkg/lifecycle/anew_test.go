package lifecycle

import (
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

// A pod may be given up when the helper has begun, because the build image
// cannot be had in this way: the next pod begins the same sections.
func TestNotesBehindThePodsLog(t *testing.T) {
	var out strings.Builder
	l := newOwnLines(&out, job.LogOptions{Sections: true})
	l.prepare("kubernetes")
	l.Info("using image x")
	begin := "section_start:1:get_sources\r\x1b[0KGetting source\n"
	for _, text := range []string{begin, "half a line"} {
		if _, err := l.jobLog().Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	l.Warn("trying again")
	if _, err := l.jobLog().Write([]byte(begin + "end\nsection_end:2:get_sources\r\x1b[0K\n")); err != nil {
		t.Fatal(err)
	}
	l.endPod()
	if err := l.close(job.Outcome{State: job.Success}, false); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	rest := text
	for _, want := range []string{
		"section_start:", ":prepare_executor", "using image x", "section_end:", ":prepare_executor", begin, "half a line\n",
		"section_end:", ":get_sources", "trying again", begin, "end\n", "section_end:2:get_sources",
	} {
		_, behind, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q behind what comes before it in %q", want, text)
		}
		rest = behind
	}
}

// The daemon's lines and the agent's have the same stream in a log with time
// stamps: the daemon's must not continue the agent's last one.
func TestLinesBehindThePodsLogBeginLines(t *testing.T) {
	var out strings.Builder
	l := newOwnLines(&out, job.LogOptions{Sections: true, Timestamps: true})
	l.prepare("kubernetes")
	l.Info("using image x")
	if _, err := l.jobLog().Write([]byte("2026-07-26T09:15:04.123456Z 00O the agent's last line\n")); err != nil {
		t.Fatal(err)
	}
	l.told("the pod is kept")
	if err := l.close(job.Outcome{State: job.Failed}, true); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "Z 00O ") || !strings.Contains(last, "the pod is kept") {
		t.Errorf("the last entry is %q, want a line of its own", last)
	}
}
