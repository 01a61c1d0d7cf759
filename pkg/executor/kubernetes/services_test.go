package kubernetes_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// heard is what a job's log is told of its services.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) Since(int) string { return "" }

func (h *heard) Print(_ int, _, line string) { h.add(line) }

func (h *heard) Warning(_ int, warning string, last ...string) {
	h.add(append([]string{"WARNING: " + warning}, last...)...)
}

func (h *heard) add(lines ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, lines...)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

var (
	succeeded = job.Outcome{State: job.Success}
	unhappy   = job.Outcome{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 1}
	died      = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 9, Reason: "Error"}}
	done      = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
)

const (
	lastWords  = "no space left\ngood bye\n"
	theEndOfDB = "WARNING: service db (image registry.example.com/db:1) has ended while the job runs: Error, exit code 9; its last lines:\n" +
		"no space left\ngood bye"
)

// TestServiceThatEnds: a service's end is told however late the cluster's word of
// it comes, and only when the service has ended of itself.
func TestServiceThatEnds(t *testing.T) {
	tests := []struct {
		name   string
		result job.Outcome
		told   func(p *corev1.Pod) // a second after the result; nil: nothing is
		took   time.Duration
		want   string
	}{
		{
			name: "a failed job waits for the word of it", result: unhappy, took: time.Second, want: theEndOfDB,
			told: func(p *corev1.Pod) {
				setStatus(p, "db", died)
				setStatus(p, "build", done)
			},
		},
		{
			name: "the word comes when all is over", result: unhappy, took: time.Second, want: theEndOfDB,
			told: func(p *corev1.Pod) {
				for _, container := range []string{"db", "build", "helper"} {
					setStatus(p, container, died)
				}
				p.Status.Phase = corev1.PodFailed
			},
		},
		{
			name: "it was not the service", result: unhappy, took: time.Second,
			told: func(p *corev1.Pod) { setStatus(p, "build", done) },
		},
		{name: "the word does not come", result: unhappy, took: 10 * time.Second},
		{name: "a job that went well does not wait", result: succeeded},
		{
			name: "ended with the pod", result: unhappy, took: time.Second,
			told: func(p *corev1.Pod) {
				p.DeletionTimestamp = &metav1.Time{Time: time.Now()}
				p.Finalizers = []string{"example.com/keep"}
				setStatus(p, "db", died)
				setStatus(p, "build", done)
			},
		},
		{
			name: "ended by the node", result: unhappy, took: time.Second,
			told: func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted"
				setStatus(p, "db", died)
				setStatus(p, "build", done)
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, told := startWithService(t, lastWords)
				log := r.start()
				time.Sleep(100 * time.Millisecond) // until it is followed
				began := time.Now()
				log.event(job.Event{Ending: true})
				log.result(tt.result)
				if tt.told != nil {
					time.Sleep(time.Second) // in the bubble
					r.update(tt.told)
				}
				r.wait()
				if r.err != nil || r.outcome != tt.result {
					t.Errorf("Run: %+v, %v, want %+v", r.outcome, r.err, tt.result)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("the job ended %v after its result, want %v", took, tt.took)
				}
				if told.String() != tt.want {
					t.Errorf("told of the service:\n%s\nwant:\n%s", told, tt.want)
				}
			})
		})
	}
}

// TestServiceToldWithTheResult: the kubelet's first word of a service may be the
// last, that it has ended, and come when the result is there.
func TestServiceToldWithTheResult(t *testing.T) {
	for range 20 { // what is ready at the same time is taken in any order
		synctest.Test(t, func(t *testing.T) {
			r, told := startWithService(t, lastWords)
			log := r.start()
			r.update(func(p *corev1.Pod) { setStatus(p, "db", corev1.ContainerState{}) })
			log.result(succeeded)
			time.Sleep(time.Second)
			r.update(func(p *corev1.Pod) {
				setStatus(p, "db", died)
				setStatus(p, "helper", done)
			})
			r.wait()
			if r.err != nil || told.String() != theEndOfDB {
				t.Errorf("Run: %v, told of the service:\n%s\nwant:\n%s", r.err, told, theEndOfDB)
			}
		})
	}
}

// TestServiceLogThatCannotBeRead: what is missing of a service's output is said,
// and the job does not wait for it for ever.
func TestServiceLogThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, told := startWithService(t, "", func(p *job.Plan) { p.DebugServices = true })
		log := r.start()
		time.Sleep(100 * time.Millisecond) // until it is followed
		log.result(succeeded)
		want := "WARNING: the end of what service db has printed cannot be read: not within 10s of the job's end"
		if took := r.wait(); took != 10*time.Second || told.String() != want {
			t.Errorf("after %v told of the service:\n%s\nwant after 10s:\n%s", took, told, want)
		}
	})
}

// startWithService begins a job with a service, db, that has printed something; ""
// is a log that does not come.
func startWithService(t *testing.T, printed string, changes ...func(*job.Plan)) (*run, *heard) {
	t.Helper()
	plan := simplePlan()
	plan.Services = []job.Service{{Image: job.Image{Name: "registry.example.com/db:1"}, Aliases: []string{"db"}}}
	for _, change := range changes {
		change(plan)
	}
	told := &heard{}
	c := newCluster(t)
	c.services = map[string]string{"db": printed}
	return start(t, c, kubernetes.Config{}, plan, func(task *executor.Task) { task.Services = told }), told
}
