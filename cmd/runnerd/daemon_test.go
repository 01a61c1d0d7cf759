package main

import (
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestForce: a forced stop interrupts the running jobs and reports them.
func TestForce(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{RequestConcurrency: 1, Concurrent: 1}, standin.RunnerSpec{})
	d := s.start(s.configText(""))
	j := s.gitlab.AddJob(standin.JobSpec{Script: s.gate().script(), AfterScript: []string{"echo never"}})
	s.prints(j, "waiting")
	d.force()
	if err := d.wait(); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
	s.ends(j, standin.Failed, "runner_interrupted")
	s.says(j, "ERROR: Job failed: runnerd was asked to stop while the job ran")
	leaveNothing(s)
}

// TestReload: a reload changes what may change while a job runs, which keeps
// the settings it began with.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	other := s.gitlab.AddRunner(standin.RunnerSpec{})
	g := s.gate()
	d := s.start(s.configText("concurrent = 1"))
	first := s.gitlab.AddJob(standin.JobSpec{Name: "first", Runner: s.runner, Script: g.script()})
	s.prints(first, "waiting")

	second := s.gitlab.AddJob(standin.JobSpec{Name: "second", Runner: s.runner})
	d.reload(s.configText("concurrent = 3"), "configuration reloaded")
	s.ends(second, standin.Success, "")

	added := s.gitlab.AddJob(standin.JobSpec{Name: "added", Runner: other})
	d.reload(s.configText("concurrent = 3")+s.entry("two", other.Token()), "configuration reloaded")
	s.ends(added, standin.Success, "")

	d.reload("concurrent = 3\n"+s.entry("two", other.Token()), "configuration reloaded")
	if first.State() != standin.Running {
		t.Fatalf("job of the removed runner is %s, want running", first.State())
	}
	s.open(g)
	s.ends(first, standin.Success, "")
	s.says(first, "passed")
}

// TestReloadBroken: a file that cannot be used changes nothing and is counted.
func TestReloadBroken(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{RequestConcurrency: 1, Concurrent: 1}, standin.RunnerSpec{})
	d := s.start(s.configText(""))
	for _, text := range []string{
		"concurrent = 0\n",                     // refused by pkg/config
		s.configText("") + "unknown_key = 1\n", // likewise
		s.configText("", "[runners.kubernetes]", `allowed_images = ["[a:b]"]`), // refused by pkg/policy
	} {
		d.reload(text, "configuration not reloaded")
	}
	if got := d.counter("gitlab_runner_configuration_loading_error_total"); got != 3 {
		t.Errorf("loading_error_total = %v, want 3", got)
	}
	j := s.gitlab.AddJob(standin.JobSpec{})
	s.ends(j, standin.Success, "")
}

// TestFileChanges: a changed file is found without a signal.
func TestFileChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	d := s.start("concurrent = 1\n")
	if !d.log.until(s.ctx, "runnerd started", 1) {
		t.Fatal("the daemon does not start")
	}
	s.write(s.configText(""))
	j := s.gitlab.AddJob(standin.JobSpec{})
	s.ends(j, standin.Success, "")
}

// TestHangingGitLab: an entry whose GitLab does not answer keeps no slot from
// the others.
func TestHangingGitLab(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{RequestConcurrency: 1, Concurrent: 1}, standin.RunnerSpec{})
	hung := newSite(t, standin.Options{}, standin.RunnerSpec{})
	hung.gitlab.Inject(standin.Fault{Times: -1, Delay: time.Hour})
	d := s.start("concurrent = 1\ncheck_interval = 1\n" + hung.entry("hangs", hung.runner.Token()) + s.entry("one", s.runner.Token()))
	for range 3 {
		s.ends(s.gitlab.AddJob(standin.JobSpec{}), standin.Success, "")
	}
	d.drain()
	if err := d.wait(); err != nil {
		t.Error(err)
	}
}

// TestLimits: no more jobs at a time than concurrent and limit say; the
// stand-in counts.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 3}, standin.RunnerSpec{Limit: 2})
	other := s.gitlab.AddRunner(standin.RunnerSpec{Limit: 3})
	s.start(s.configText("concurrent = 3", "limit = 2", "request_concurrency = 2") + s.entry("two", other.Token(), "request_concurrency = 3"))
	var jobs []*standin.Job
	for range 5 {
		jobs = append(jobs, s.gitlab.AddJob(standin.JobSpec{Runner: s.runner}), s.gitlab.AddJob(standin.JobSpec{Runner: other}))
	}
	for _, j := range jobs {
		s.ends(j, standin.Success, "")
	}
}

// TestDamagedJob: a job that arrives in an answer that cannot be read is
// reported, even when GitLab has a bad moment.
func TestDamagedJob(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 1}, standin.RunnerSpec{})
	s.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, Reset: true})
	s.start(s.configText(""))
	j := s.gitlab.AddJob(standin.JobSpec{Mutate: func(p map[string]any) { p["steps"] = "none" }})
	s.ends(j, standin.Failed, "runner_system_failure")
	s.says(j, "ERROR: Job failed (system failure): the job that GitLab sent cannot be read")
	s.ends(s.gitlab.AddJob(standin.JobSpec{}), standin.Success, "")
}

// TestCanceledBeforeStart: a job that is canceled before it is acknowledged
// never begins.
func TestCanceledBeforeStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 1}, standin.RunnerSpec{})
	hold := s.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, JobStatus: "canceling"})
	s.start(s.configText(""))
	j := s.gitlab.AddJob(standin.JobSpec{Script: []string{"echo begun"}})
	s.ends(j, standin.Failed, "unknown_failure") // the stand-in knows of no cancel
	s.says(j, "ERROR: Job failed: canceled before it started")
	if hold.Hits() != 1 || strings.Contains(j.Text(), "begun") {
		t.Errorf("the job began:\n%s", j.Text())
	}
}

// TestRefusedJobs: what a job must not or cannot do, its author reads.
func TestRefusedJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 4}, standin.RunnerSpec{})
	s.start(s.configText("concurrent = 4", "[runners.policy]", "protected_refs_only = true", `contact = "#ops"`))
	tests := []struct {
		name   string
		spec   standin.JobSpec
		reason string
		says   string
	}{
		{"protected", standin.JobSpec{Protected: true}, "", "Job succeeded"},
		{"not protected", standin.JobSpec{}, "runner_system_failure", "contact: #ops"},
		{"artifacts", standin.JobSpec{Protected: true, Artifacts: []standin.Artifact{{Paths: []string{"out"}}}}, "", "No files to upload"},
		{"secrets of another provider", standin.JobSpec{Protected: true, Mutate: func(p map[string]any) {
			p["secrets"] = map[string]any{"DB_PASSWORD": map[string]any{"gcp_secret_manager": map[string]any{"name": "x"}}}
		}}, "runner_configuration_error", `secret "DB_PASSWORD": the provider gcp_secret_manager is not supported by this runner`},
		{"unknown input", standin.JobSpec{Protected: true, Script: []string{"echo ${{ job.inputs.nobody }}"}}, "runner_configuration_error", "${{ job.inputs.nobody }}"},
		{"run", standin.JobSpec{Protected: true, Mutate: func(p map[string]any) {
			p["run"] = `[{"name":"x","script":"echo x"}]`
			delete(p, "steps")
		}}, "runner_configuration_error", "run: steps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Name = tt.name
			j := s.gitlab.AddJob(tt.spec)
			state := standin.Failed
			if tt.reason == "" {
				state = standin.Success
			}
			s.ends(j, state, tt.reason)
			s.says(j, tt.says)
		})
	}
}

// TestOddPayloads: each payload that a client has to take ends in a state, and
// the daemon lives on.
func TestOddPayloads(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 4}, standin.RunnerSpec{})
	s.start(s.configText("concurrent = 4"))
	jobs := map[string]*standin.Job{}
	for name, mutate := range standin.OddPayloads() {
		jobs[name] = s.gitlab.AddJob(standin.JobSpec{Mutate: mutate})
	}
	for name, j := range jobs {
		s.ends(j, standin.Success, "")
		if j.State() != standin.Success {
			t.Errorf("payload with %s", name)
		}
	}
}

// TestSecretsInLog: the daemon's own log shows no masked variable, whatever a
// message quotes.
func TestSecretsInLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 1}, standin.RunnerSpec{})
	d := s.start(s.configText("", "[runners.kubernetes]", `allowed_images = ["debian"]`))
	j := s.gitlab.AddJob(standin.JobSpec{
		Image:     standin.Image{Name: "registry.example.com/$DEPLOY_KEY:1"},
		Variables: []standin.Variable{{Key: "DEPLOY_KEY", Value: "horse-battery-staple", Masked: true}},
	})
	s.ends(j, standin.Failed, "runner_system_failure")
	if !d.log.until(s.ctx, "job finished", 1) || d.log.count("horse-battery-staple") > 0 || d.log.count("registry.example.com/[MASKED]") == 0 {
		t.Error("the log does not name the image, or shows the secret in it")
	}
}

// TestReloadGlobal: what stands above the entries and concerns them is in force
// after a reload too; a file that says the same restarts nothing.
func TestReloadGlobal(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	d := s.start(s.configText(""))
	if !d.log.until(s.ctx, "runnerd started", 1) {
		t.Fatal("the daemon does not start")
	}
	first := d.setups()
	d.reload(s.configText("# the same again"), "configuration reloaded")
	d.reload(s.configText("connection_max_age = \"-1s\"\nshutdown_timeout = 0"), "configuration reloaded")
	d.drain()
	if err := d.wait(); err != nil {
		t.Fatal(err)
	}
	got := d.setups()
	if len(first) != 1 || len(got) != 1 || got[0].connectionMaxAge >= 0 || got[0].shutdownTimeout != 30*time.Second {
		t.Errorf("entry's setup is %+v, and was %+v", got, first)
	}
}

// TestDuplicateEntries: two entries that are the same are two, before and after
// a reload.
func TestDuplicateEntries(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	twice := s.configText("concurrent = 2") + s.entry("one", s.runner.Token())
	d := s.start(twice)
	d.reload(twice, "configuration reloaded")
	d.drain()
	if err := d.wait(); err != nil {
		t.Fatal(err)
	}
	if a, b := d.daemon.running[0], d.daemon.running[1]; a == b {
		t.Error("one entry was taken for both")
	}
}
