//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/test/chaos"
)

// soakJobs is `concurrent` while the daemon is watched.
const soakJobs = 20

// A sample is what the daemon holds at a moment, with soakJobs jobs running.
type sample struct {
	at                              time.Duration
	resident, heap, goroutines, fds float64 // bytes, bytes, and how many
}

// quantities are what has to be flat. A figure may grow by its slack at most, from
// the second third of the time to the last one: what a sample's moment makes of it.
var quantities = []struct {
	name  string
	of    func(sample) float64
	unit  float64
	slack float64 // in units
}{
	{"resident memory, MB", func(s sample) float64 { return s.resident }, 1e6, 5},
	{"heap, MB", func(s sample) float64 { return s.heap }, 1e6, 5},
	{"goroutines", func(s sample) float64 { return s.goroutines }, 1, 20},
	{"file descriptors", func(s sample) float64 { return s.fds }, 1, 5},
}

// TestSoak: a daemon with twenty jobs at a time, one after the other, needs no more
// at the end than after a while. RUNNERD_SOAK says for how long; `make soak` sets it.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("RUNNERD_SOAK"))
	if err != nil {
		t.Skip("it takes its time: run it with `make soak`")
	}
	s := start(t, options{concurrent: soakJobs, kubernetes: "poll_timeout = 900"})
	var samples []sample
	var running []*standin.Job
	done := 0
	began := time.Now()
	next := began
	wait := time.NewTicker(100 * time.Millisecond)
	defer wait.Stop()
	for time.Since(began) < length {
		running = slices.DeleteFunc(running, func(j *standin.Job) bool {
			if j.State().Final() {
				s.soaked(j)
				done++
				return true
			}
			return false
		})
		for len(running) < 2*soakJobs {
			running = append(running, s.addSoaked(done+len(running)))
		}
		if now := time.Now(); now.After(next) {
			samples = append(samples, s.sample(now.Sub(began)))
			next = now.Add(length / 180)
		}
		<-wait.C
	}
	for _, j := range running {
		s.until(j, "its end", func(j *standin.Job) bool { return j.State().Final() })
		s.soaked(j)
	}
	t.Logf("%d jobs in %s\n%s", done+len(running), time.Since(began).Round(time.Second), judgeSoak(t, samples))
}

// addSoaked adds a job of some seconds, of one of several kinds.
func (s *site) addSoaked(n int) *standin.Job {
	batches := 5 + n%15
	spec := standin.JobSpec{Name: strconv.Itoa(n), Image: standin.Image{Name: image("busybox")}, Script: chaos.Job{
		Number: n, Batches: batches, Batch: 20 + n%80, Pause: 500 * time.Millisecond,
	}.Script()}
	if n%4 == 0 {
		spec.Script = append(spec.Script, "exit 3")
	}
	if n%5 == 0 {
		spec.Artifacts = []standin.Artifact{{Paths: []string{"lib"}}}
	}
	return s.add(spec)
}

func (s *site) soaked(j *standin.Job) {
	want, code := standin.Success, 0
	if n, err := strconv.Atoi(j.Name()); err == nil && n%4 == 0 {
		want, code = standin.Failed, 3
	}
	if j.State() != want || j.ExitCode() != code {
		s.t.Errorf("job %s is %s (%s, exit code %d), want %s, %d:\n%s", j.Name(), j.State(), j.FailureReason(), j.ExitCode(), want, code, j.Text())
	}
}

var (
	heapMetric      = regexp.MustCompile(`(?m)^go_memstats_heap_alloc_bytes (\S+)$`)
	goroutineMetric = regexp.MustCompile(`(?m)^go_goroutines (\S+)$`)
	residentMetric  = regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`)
)

func (s *site) sample(at time.Duration) sample {
	s.t.Helper()
	text, err := s.get("/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	metric := func(re *regexp.Regexp) float64 {
		m := re.FindStringSubmatch(text)
		if m == nil {
			s.t.Fatalf("no metric %s:\n%s", re, text)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return v
	}
	fds, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(s.daemon.Process.Pid), "fd"))
	if err != nil {
		s.t.Fatal(err)
	}
	return sample{at: at, resident: metric(residentMetric), heap: metric(heapMetric), goroutines: metric(goroutineMetric), fds: float64(len(fds))}
}

// judgeSoak compares the last third of the time with the one before; in the first
// one pools fill.
func judgeSoak(t *testing.T, samples []sample) string {
	t.Helper()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "median of\tfirst third\tsecond\tlast\thighest")
	n := len(samples) / 3
	for _, q := range quantities {
		thirds := []float64{middle(q.of, samples[:n]), middle(q.of, samples[n:2*n]), middle(q.of, samples[2*n:])}
		most := slices.Max(values(q.of, samples))
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\n", q.name, thirds[0]/q.unit, thirds[1]/q.unit, thirds[2]/q.unit, most/q.unit)
		if grown := (thirds[2] - thirds[1]) / q.unit; grown > q.slack {
			t.Errorf("%s: grown by %.1f from the second third of the time to the last", q.name, grown)
		}
	}
	w.Flush()
	return b.String()
}

func values(of func(sample) float64, samples []sample) []float64 {
	var list []float64
	for _, s := range samples {
		list = append(list, of(s))
	}
	return list
}

func middle(of func(sample) float64, samples []sample) float64 {
	list := values(of, samples)
	slices.Sort(list)
	return list[len(list)/2]
}
