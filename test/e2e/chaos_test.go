//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/test/chaos"
)

// TestChaos: replicas, the cluster and GitLab break in turn, and every job's log is
// what it printed, every result right and told once, and nothing left over.
//
// RUNNERD_CHAOS_SEEDS says how often; RUNNERD_CHAOS_JOBS (30) and
// RUNNERD_CHAOS_REPLICAS (2) say how much. `make chaos` sets them; scripts/e2e has a
// short run of one seed. The reports are added to the file RUNNERD_CHAOS_REPORT.
func TestChaos(t *testing.T) {
	if os.Getenv("RUNNERD_CHAOS_SEEDS") == "" {
		t.Skip("RUNNERD_CHAOS_SEEDS is not set: run make chaos")
	}
	jobs, replicas := number(t, "RUNNERD_CHAOS_JOBS", 30), number(t, "RUNNERD_CHAOS_REPLICAS", 2)
	for _, text := range strings.Fields(os.Getenv("RUNNERD_CHAOS_SEEDS")) {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("RUNNERD_CHAOS_SEEDS: %v", err)
		}
		t.Run("seed "+text, func(t *testing.T) { newTurmoil(t, chaos.New(seed, jobs, replicas)).run() })
	}
}

// number reads a positive number from the environment.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a positive number", variable, text)
	}
	return n
}

// slots of all replicas together: what two cores carry. GitLab has so many jobs beyond
// that of the next fault.
const slots = 8

// A turmoil is one run of a plan.
type turmoil struct {
	*site    // that of the first replica, too
	plan     chaos.Plan
	replicas []*site
	jobs     []*standin.Job
	excuses  map[*standin.Job]excuse
	deaths   []death
	begun    time.Time
	told     []told
	watchers sync.WaitGroup // of GitLab's faults
}

// until is that of the site, but in a queue behind what is broken, and with more
// patience: a busy machine is none of the faults.
func (c *turmoil) until(j *standin.Job, what string, ok func(*standin.Job) bool) {
	c.t.Helper()
	c.within(5*patience, j, what, ok)
}

// An excuse says what may have become of a job other than what its script says.
type excuse string

const (
	podDeleted  excuse = "its pod was deleted"
	neverHeard  excuse = "its replica was killed before it had a record"
	interrupted excuse = "its replica ended before it had a pod"
	podStopped  excuse = "the kubelet stopped its pod"
)

// A death is the end of a replica's process.
type death struct {
	of string // its system ID
	at time.Time
}

// A told is a row of the report while it is being made.
type told struct {
	chaos.Row
	at, whole time.Time // began; whatever was broken is whole again
	jobs      []*standin.Job
}

func newTurmoil(t *testing.T, plan chaos.Plan) *turmoil {
	o := options{
		concurrent: slots / plan.Replicas,
		runner:     "output_limit = 30000",
		kubernetes: "poll_timeout = 600",                                        // a busy machine is none of the faults
		gitlab:     standin.Options{TraceInterval: time.Second, Concurrent: -1}, // those of a dead replica still count at GitLab
	}
	c := &turmoil{site: start(t, o), plan: plan, excuses: map[*standin.Job]excuse{}}
	c.replicas = []*site{c.site}
	for range plan.Replicas - 1 {
		r := c.replica()
		c.replicas = append(c.replicas, r)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the log of another replica:\n%s", r.daemonLog())
			}
		})
	}
	return c
}

func (c *turmoil) run() {
	c.begun = time.Now()
	watching, stop := context.WithCancel(context.Background())
	defer c.watchers.Wait()
	defer stop()
	for i := range c.plan.Faults {
		c.told = append(c.told, told{Row: chaos.Row{Fault: c.plan.Faults[i]}})
	}
	for i := range c.told {
		c.strike(watching, &c.told[i])
	}
	c.queue(len(c.plan.Jobs))
	c.finishAll()
	stop()
	c.watchers.Wait()
	report := c.judge()
	c.t.Logf("\n%s", report)
	if path := os.Getenv("RUNNERD_CHAOS_REPORT"); path != "" {
		c.write(path, report.String())
	}
	if c.t.Failed() {
		c.t.Logf("to repeat: make chaos SEEDS=%d JOBS=%d REPLICAS=%d", c.plan.Seed, len(c.plan.Jobs), c.plan.Replicas)
	}
}

func (c *turmoil) write(path, text string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text + "\n"); err != nil {
		c.t.Fatal(err)
	}
}

// queue sees to it that GitLab has the first n jobs. The others have to wait, or they
// would all be over before the last fault.
func (c *turmoil) queue(n int) {
	for len(c.jobs) < min(n, len(c.plan.Jobs)) {
		j := c.plan.Jobs[len(c.jobs)]
		spec := standin.JobSpec{Name: j.Name(), Image: standin.Image{Name: image("busybox")}, Script: j.Script()}
		if j.Hook > 0 {
			spec.Hooks = []standin.Hook{{Name: "pre_get_sources_script", Script: j.HookScript()}}
		}
		c.jobs = append(c.jobs, c.add(spec))
	}
}

// await waits for a fault's moment and returns the job and the line that made it. Of a
// job that is beyond the line, or in a hook for nobody knows how long, it is the next
// one. It returns nil when no job is left.
func (c *turmoil) await(f chaos.Fault) (*standin.Job, int) {
	c.queue(f.Job + slots)
	for n := f.Job; n < len(c.plan.Jobs); n++ {
		c.queue(n + 1)
		j, spec := c.jobs[n], c.plan.Jobs[n]
		if c.excuses[j] == neverHeard {
			continue
		}
		line, text := 0, chaos.HookBegun
		if f.Kind != chaos.PodBefore {
			line = max(f.Line, bytes.Count(j.Log(), []byte(spec.Name()+" line "))+1)
			text = spec.Line(line)
		}
		if j.State().Final() || spec.Long() || line > spec.Lines()*3/4 || f.Kind == chaos.PodBefore && (spec.Hook == 0 || bytes.Contains(j.Log(), []byte(text))) {
			continue
		}
		c.until(j, text, func(j *standin.Job) bool {
			return bytes.Contains(j.Log(), []byte(text+"\n")) || j.State().Final() || c.forgotten(j)
		})
		switch {
		case j.State().Final():
		case c.forgotten(j):
			c.excuses[j] = neverHeard
		default:
			return j, line
		}
	}
	return nil, 0
}

func (c *turmoil) scriptBegun(j *standin.Job) bool {
	return bytes.Contains(j.Log(), []byte(`Executing "step_script"`))
}

// finishAll waits for the end of all jobs. Of one that was lost with its replica
// only GitLab knows: it would fail in an hour, and is ended here.
func (c *turmoil) finishAll() {
	var lost []*standin.Job
	for _, j := range c.jobs {
		if c.excuses[j] == "" && !j.State().Final() && c.unheard(j) {
			c.excuses[j] = neverHeard
		}
		if c.excuses[j] == neverHeard && !j.State().Final() {
			lost = append(lost, j)
			continue
		}
		c.until(j, "its end", func(j *standin.Job) bool { return j.State().Final() })
	}
	for _, j := range lost {
		if len(c.recordOf(j)) == 0 {
			j.ForceCancel()
		}
		c.until(j, "its end", func(j *standin.Job) bool { return j.State().Final() })
	}
}

// unheard waits until something is heard of a job that GitLab has handed out, and
// reports whether nothing was. GitLab notices late that a replica that had asked was
// killed, as a request that it has held, or answered into the void, shows.
func (c *turmoil) unheard(j *standin.Job) bool {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 5 * patience / (200 * time.Millisecond) {
		events := j.Events()
		last := events[len(events)-1]
		switch {
		case last.Kind == standin.EventCreated || last.Kind == standin.EventPending: // it waits for a slot
		case last.Kind != standin.EventHandedOut || !c.died(j, last.Time):
			return false
		case time.Since(last.Time) > unheardAfter:
			return c.forgotten(j)
		}
		<-tick.C
	}
	return false // whoever waits for its end says what is wrong
}

// forgotten reports whether nothing has been heard for long of a job that GitLab has
// handed out about when a replica was killed, and nobody has a record of it.
func (c *turmoil) forgotten(j *standin.Job) bool {
	events := j.Events()
	last := events[len(events)-1]
	return last.Kind == standin.EventHandedOut && c.died(j, last.Time) && time.Since(last.Time) > unheardAfter && len(c.recordOf(j)) == 0
}

const (
	// unheardAfter is how long a replica may take to say that a job runs.
	unheardAfter = time.Minute
	// lateNotice is how long GitLab may not notice that a replica is gone.
	lateNotice = time.Minute
)

// died reports whether the replica that a job was handed out to at that time died
// about then.
func (c *turmoil) died(j *standin.Job, handedOut time.Time) bool {
	return slices.ContainsFunc(c.deaths, func(d death) bool {
		return d.of == j.SystemID() && d.at.After(handedOut.Add(-lateNotice)) && d.at.Before(handedOut.Add(unheardAfter))
	})
}

// judge compares every job with what it should be, and makes the report.
func (c *turmoil) judge() chaos.Report {
	r := chaos.Report{Plan: c.plan, Took: time.Since(c.begun)}
	for n, j := range c.jobs {
		r.Bytes += len(j.Log())
		if c.excuses[j] == "" && c.stoppedByKubelet(j) {
			c.excuses[j] = podStopped
		}
		used, right := c.check(c.plan.Jobs[n], j)
		switch used {
		case "":
			if right {
				r.Right++
				if strings.Contains(j.Text(), "the job begins anew in another pod") {
					r.Anew++
				}
			}
		case podDeleted:
			r.Cut++
		case podStopped:
			r.Stopped++
		case neverHeard:
			r.Lost++
		case interrupted:
			r.GivenUp++
		}
	}
	for _, v := range c.gitlab.TakeViolations() {
		if !c.forgiven(v) {
			c.t.Errorf("protocol violation: %s", v)
		}
	}
	missed := 0
	for _, t := range c.told {
		t.settle(c.excuses)
		if r.Rows = append(r.Rows, t.Row); t.Missed != "" {
			missed++
		}
	}
	if missed > len(c.told)/8 {
		c.t.Errorf("%d of %d faults had no job left to hit", missed, len(c.told))
	}
	return r
}

// forgiven reports whether a violation is the faults' own. Of what is lost with a
// pod nobody can make a checksum, or end the section; and the stand-in does not know
// that a replica has adopted a job of one that lives, but was cut off from the cluster.
func (c *turmoil) forgiven(v standin.Violation) bool {
	n := slices.IndexFunc(c.jobs, func(j *standin.Job) bool { return j.ID() == v.Job })
	if n < 0 {
		return false
	}
	switch v.Point {
	case "14.16", "14.28":
		return c.excuses[c.jobs[n]] == podDeleted || c.excuses[c.jobs[n]] == podStopped
	case "14.23":
		return strings.HasPrefix(v.Text, "PATCH at offset 0,") && c.adopted(v.Job)
	}
	return false
}

// adopted reports whether a replica has gone on with a job of another process.
func (c *turmoil) adopted(id int64) bool {
	for _, r := range c.replicas {
		for line := range strings.Lines(r.daemonLog()) {
			if strings.Contains(line, `"job adopted"`) && strings.Contains(line, fmt.Sprintf(`"job":%d,`, id)) {
				return true
			}
		}
	}
	return false
}

// settle computes how long it took until GitLab had heard of all jobs again, but for
// those that nobody knows of.
func (t *told) settle(excuses map[*standin.Job]excuse) {
	t.Jobs = len(t.jobs)
	t.Lasted = t.whole.Sub(t.at)
	for _, j := range t.jobs {
		if excuses[j] == neverHeard {
			continue
		}
		for _, e := range j.Events() {
			ended := e.Kind == standin.EventFinished && !e.Time.Before(t.at)
			if ended || e.Kind == standin.EventPatch && e.Detail == "" && !e.Time.Before(t.whole) {
				t.Recovered = max(t.Recovered, e.Time.Sub(t.at))
				break
			}
		}
	}
}

// check checks one job, and shows its log where that is wrong. It returns the
// excuse that the job has made use of, and whether all else is as it should be.
func (c *turmoil) check(spec chaos.Job, j *standin.Job) (used excuse, right bool) {
	text := j.Text()
	used, problems := c.checkResult(spec, j)
	line, err := spec.Check(text, used != "")
	if err != nil {
		problems = append(problems, err.Error())
	} else if used == "" {
		problems = append(problems, checkFrame(spec, text)...)
	}
	if n := count(j, standin.EventFinalUpdate); n != 1 && used != neverHeard {
		problems = append(problems, fmt.Sprintf("its result was reported %d times", n))
	}
	if len(problems) > 0 {
		c.t.Errorf("seed %d, %s (id %d, excuse %q): %s\nits log around line %d:\n%s\n%s", c.plan.Seed, spec.Name(), j.ID(), c.excuses[j],
			strings.Join(problems, "; "), line+1, chaos.Around(text, line), history(j))
	}
	return used, len(problems) == 0
}

// checkResult compares the result with what the script's is.
func (c *turmoil) checkResult(spec chaos.Job, j *standin.Job) (used excuse, problems []string) {
	want, why := standin.Success, ""
	if spec.ExitCode != 0 {
		want, why = standin.Failed, "script_failure"
	}
	switch state, reason, excused := j.State(), j.FailureReason(), c.excuses[j]; {
	case state == want && reason == why && j.ExitCode() == spec.ExitCode:
		return "", nil
	case (excused == podDeleted || excused == podStopped) && state == standin.Failed && reason == "runner_system_failure",
		excused == neverHeard && state == standin.Canceled,
		excused == interrupted && state == standin.Failed && reason == "runner_interrupted":
		return excused, nil
	default:
		return "", []string{fmt.Sprintf("it is %s (%s, exit code %d), want %s with exit code %d", state, reason, j.ExitCode(), want, spec.ExitCode)}
	}
}

// checkFrame checks that what the script prints stands where it would stand without
// any trouble, and that the log has one begin and one end.
func checkFrame(spec chaos.Job, text string) (problems []string) {
	script := spec.Script()
	output, end := scriptSection(spec.Output(), script[0]), "Job succeeded"
	if spec.ExitCode != 0 {
		output += "\x1b[32;1m$ " + script[1] + "\x1b[0;m\n"
		end = fmt.Sprintf("ERROR: Job failed: command terminated with exit code %d", spec.ExitCode)
	}
	if !strings.Contains(text, ":step_script\r\x1b[0K"+output+"section_end:") {
		problems = append(problems, "the section of its script is not as it should be")
	}
	for _, once := range []string{"Running with runnerd", `Executing "step_script"`, end} {
		if n := strings.Count(text, once); n != 1 {
			problems = append(problems, fmt.Sprintf("%q is %d times in the log, want once", once, n))
		}
	}
	return problems
}

// history tells what GitLab has seen of a job, for people.
func history(j *standin.Job) string {
	var b strings.Builder
	for _, e := range j.Events() {
		fmt.Fprintf(&b, "%s %s %d %s\n", e.Time.Format("15:04:05.000"), e.Kind, e.Bytes, e.Detail)
	}
	return b.String()
}

func count(j *standin.Job, kind standin.EventKind) (n int) {
	for _, e := range j.Events() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// running returns the jobs that GitLab takes to run; with a replica, those that it
// was given, or has adopted.
func (c *turmoil) running(of *site) []*standin.Job {
	c.t.Helper()
	var has map[int64]bool
	if of != nil {
		has = c.records("runnerd.io/manager=" + of.systemID())
	}
	var jobs []*standin.Job
	for _, j := range c.jobs {
		state := j.State()
		if state != standin.Running && state != standin.Canceling {
			continue
		}
		if of == nil || has[j.ID()] || j.SystemID() == of.systemID() && len(c.recordOf(j)) == 0 {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// records returns the jobs that have a record. It waits for an API server that is
// away.
func (c *turmoil) records(selector string) map[int64]bool {
	c.t.Helper()
	jobs := map[int64]bool{}
	wait(c.t, "a list of the records", func() bool {
		list, err := ground.api.CoreV1().Secrets(c.namespace).List(context.Background(), metav1.ListOptions{LabelSelector: "runnerd.io/record," + selector})
		if err != nil {
			return false
		}
		for _, r := range list.Items {
			if id, err := strconv.ParseInt(r.Labels["runnerd.io/job"], 10, 64); err == nil {
				jobs[id] = true
			}
		}
		return true
	})
	return jobs
}

func (c *turmoil) recordOf(j *standin.Job) map[int64]bool {
	c.t.Helper()
	return c.records("runnerd.io/job=" + strconv.FormatInt(j.ID(), 10))
}

// systemID is the identity that a daemon keeps beside its config.
func (s *site) systemID() string {
	s.t.Helper()
	id, err := os.ReadFile(filepath.Join(filepath.Dir(s.config), ".runner_system_id"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}
