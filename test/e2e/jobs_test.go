//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestThirtyJobs is the main job, often: mixed outcomes, eight at a time, every
// log exactly what the script printed, nothing left over.
func TestThirtyJobs(t *testing.T) {
	s := start(t, options{concurrent: 8})
	s.finish(s.add(standin.JobSpec{Name: "first", Script: []string{"true"}}), standin.Success)
	before := s.settled()
	type expectation struct {
		job     *standin.Job
		state   standin.State
		code    int
		section string
	}
	var want []expectation
	for i := range 30 {
		lines := 50 * (i + 1)
		count := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do echo "job %d line $i"; i=$((i+1)); done`, lines, i)
		var output strings.Builder
		for n := range lines {
			fmt.Fprintf(&output, "job %d line %d\n", i, n)
		}
		e := expectation{state: standin.Success}
		commands := []string{count}
		if i%5 == 4 {
			e.state, e.code = standin.Failed, i+1
			commands = append(commands, fmt.Sprintf("exit %d", i+1))
		}
		spec := standin.JobSpec{Name: fmt.Sprintf("job %d", i), Script: commands}
		if i%3 == 1 {
			spec.Image.Name = image("busybox")
		}
		// Commands are echoed one by one; only the first prints.
		first := scriptSection(output.String(), commands[0])
		for _, c := range commands[1:] {
			first += "\x1b[32;1m$ " + c + "\x1b[0;m\n"
		}
		e.section = first
		e.job = s.add(spec)
		want = append(want, e)
	}
	for _, e := range want {
		s.finish(e.job, e.state)
		t.Logf("%s:%s", e.job.Name(), timeline(t, e.job))
		if e.job.ExitCode() != e.code {
			t.Errorf("job %s: exit code %d, want %d", e.job.Name(), e.job.ExitCode(), e.code)
		}
		if got := section(t, e.job.Text(), "step_script"); got != e.section {
			t.Errorf("job %s: script section differs: got %d bytes, want %d\n%.2000s", e.job.Name(), len(got), len(e.section), got)
		}
	}
	wait(t, "the goroutines of finished jobs to end", func() bool { return s.settled() <= before })
}

// TestSlowLogArrivesWhileTheJobRuns: a line is at GitLab within the update
// interval that GitLab asked for.
func TestSlowLogArrivesWhileTheJobRuns(t *testing.T) {
	const interval = 2 * time.Second
	s := start(t, options{gitlab: standin.Options{TraceInterval: interval}})
	pass, open := gate(t)
	j := s.add(standin.JobSpec{Name: "slow", Script: []string{
		`for i in 1 2 3 4 5; do echo "tick $i at $(date +%s%N)"; sleep 1.5; done`, pass,
	}})
	var arrived [6]time.Time
	for i := 1; i <= 5; i++ {
		s.until(j, fmt.Sprintf("tick %d", i), func(j *standin.Job) bool {
			return strings.Contains(j.Text(), fmt.Sprintf("\ntick %d at ", i))
		})
		arrived[i] = time.Now()
	}
	if j.State() != standin.Running {
		t.Errorf("the last line arrived when the job was %s, want it while it runs", j.State())
	}
	open()
	s.finish(j, standin.Success)
	for i := 1; i <= 5; i++ {
		delay := arrived[i].Sub(printed(t, j.Text(), fmt.Sprintf("tick %d at ", i)))
		t.Logf("line %d took %v", i, delay)
		if delay > interval+time.Second {
			t.Errorf("line %d took %v to arrive, want the update interval of %v at most", i, delay, interval)
		}
	}
}

// TestSources: what the clone leaves in the pod.
func TestSources(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	j := s.add(standin.JobSpec{Name: "sources", Script: []string{
		"git rev-parse HEAD",
		`test "$(git rev-parse HEAD)" = "$CI_COMMIT_SHA"`,
		"git status --porcelain",
		"wc -l < lib/data.txt",
		// In a file, or grep would find its own command line.
		`printenv CI_JOB_TOKEN > /tmp/token`,
		`if grep -r -f /tmp/token .git /proc/[0-9]*/cmdline 2>/dev/null; then echo the token is here; exit 9; fi`,
		`if git config --list | grep -f /tmp/token; then echo the token is in the config; exit 8; fi`,
		"ls /runnerd/plan",
	}})
	s.finish(j, standin.Success)
	if text := section(t, j.Text(), "step_script"); !strings.Contains(text, "\n1000\n") || strings.Contains(text, "helper") {
		t.Errorf("script section:\n%s", text)
	}
}

// TestPickUp: a job is taken at once while a poll is held.
func TestPickUp(t *testing.T) {
	s := start(t, options{gitlab: standin.Options{Polling: 2 * time.Second, PromptPoll: 2 * time.Second}})
	for i := range 5 {
		polls := s.gitlab.Requests(standin.RequestJob)
		wait(t, "a held poll", func() bool { return s.gitlab.Requests(standin.RequestJob) > polls || i == 0 })
		j := s.add(standin.JobSpec{Name: fmt.Sprintf("pick %d", i), Script: []string{"true"}})
		s.finish(j, standin.Success)
		delay := when(t, j, standin.EventHandedOut).Sub(when(t, j, standin.EventPending))
		t.Logf("picked up after %v", delay)
		if delay > time.Second {
			t.Errorf("picked up after %v, want at once", delay)
		}
	}
}

// timeline says when what happened to a job, in seconds from its hand-out.
func timeline(t testing.TB, j *standin.Job) string {
	t.Helper()
	from := when(t, j, standin.EventHandedOut)
	var b strings.Builder
	for _, e := range j.Events() {
		fmt.Fprintf(&b, " %v+%.2f", e.Kind, e.Time.Sub(from).Seconds())
	}
	return b.String()
}
