package kubernetes_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// unbegun is what a helper says that the cluster stops before a script began.
var unbegun = job.Result{
	Outcome: job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "pod was asked to stop by the cluster"}, Stopped: true, Unbegun: true,
}

func (r *run) deletePod() {
	r.t.Helper()
	if err := r.CoreV1().Pods(namespace).Delete(r.t.Context(), r.pod().Name, metav1.DeleteOptions{}); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func oomKilled(p *corev1.Pod) {
	setStatus(p, "helper", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}})
}

// startBroken is the state of a container whose runtime was killed as it started it.
var startBroken = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
	Reason: "StartError", ExitCode: 128, Message: "failed to create containerd task: failed to start shim: start failed: : signal: killed: unknown",
}}

func TestJobBeginsAnew(t *testing.T) {
	tests := []struct {
		name string
		lose func(r *run)
		says string
	}{
		{"the helper says so", func(r *run) {
			log := r.start()
			log.write("Fetching\n")
			result := unbegun
			result.LogBytes = int64(len("Fetching\n"))
			log.event(job.Event{Result: &result})
		}, "pod was asked to stop by the cluster (nobody is known to have deleted or evicted it, so its node did that, node node-1); no script had begun, so the job begins anew in another pod (2 of 3)"},
		{"deleted before it had a node", (*run).deletePod, "was deleted from outside before it had a node while the job ran; no script had begun"},
		{"a helper out of memory among the sources", func(r *run) {
			log := r.start()
			log.write("Fetching\n")
			r.update(oomKilled)
			log.end()
		}, "helper container ran out of memory: it was killed for the node's lack of memory (it has no limit of its own) on node node-1: OOMKilled, exit code 137; no script had begun"},
		{"a runtime that is killed while it starts the build container", func(r *run) {
			r.start().write("Fetching\n")
			r.update(func(p *corev1.Pod) { setStatus(p, "build", startBroken) })
		}, "cannot start: StartError: failed to create containerd task: failed to start shim: start failed: : signal: killed: unknown; no script had begun"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				remade := 0
				r := start(t, newCluster(t), kubernetes.Config{}, simplePlan(), func(task *executor.Task) {
					task.Again = func(_ context.Context, what string) error {
						if what == executor.Lost {
							remade++
						}
						return nil
					}
				})
				first := r.pod().Name
				tt.lose(r)
				time.Sleep(5 * time.Second) // in the bubble: what is left of the first pod goes
				if second := r.pod(); second.Name == first {
					t.Fatalf("pod %s is still there", first)
				}
				for _, name := range r.secretsOwned() {
					if name == first {
						t.Errorf("a Secret is still owned by the lost pod")
					}
				}
				log := r.start()
				log.write("hello\n")
				log.result(job.Outcome{State: job.Success})
				r.wait()
				if r.err != nil || r.outcome.State != job.Success || !strings.HasSuffix(r.log.String(), "hello\n") {
					t.Errorf("Run = %+v, %v, log %q", r.outcome, r.err, r.log)
				}
				if !strings.Contains(r.notes.String(), tt.says) || remade != 1 {
					t.Errorf("remade %d times, notes %q, want %q", remade, r.notes, tt.says)
				}
				if err := r.executor.Remove(t.Context(), r.task); err != nil || len(r.pods()) > 0 {
					t.Errorf("Remove: %v, pods %q", err, r.pods())
				}
			})
		})
	}
}

// secretsOwned returns the names of the pods that own the job's Secrets.
func (c *cluster) secretsOwned() []string {
	c.t.Helper()
	list, err := c.CoreV1().Secrets(c.namespace).List(c.t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		c.t.Fatalf("%d Secrets, %v", len(list.Items), err)
	}
	var names []string
	for _, s := range list.Items {
		for _, o := range s.OwnerReferences {
			names = append(names, o.Name)
		}
	}
	return names
}

func TestJobBeginsAnewOnlySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		for range 3 {
			r.start().event(job.Event{Result: &unbegun})
			time.Sleep(5 * time.Second) // in the bubble
		}
		r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.RunnerSystemFailure || !strings.Contains(failure.Message, "(this was the last of 3 pods)") {
			t.Errorf("Run = %+v, %v", r.outcome, r.err)
		}
		if err := r.executor.Remove(t.Context(), r.task); err != nil || len(r.pods()) > 0 {
			t.Errorf("Remove: %v, pods %q", err, r.pods())
		}
	})
}

// A script that may have begun does not begin again.
func TestJobDoesNotBeginAnew(t *testing.T) {
	step := job.Event{Phase: &job.PhaseEvent{Name: "step_script"}}
	tests := []struct {
		name string
		lose func(r *run)
	}{
		{"a helper out of memory in the script", func(r *run) {
			log := r.start()
			log.event(step)
			r.update(oomKilled)
			log.end()
		}},
		{"deleted in the script", func(r *run) {
			log := r.start()
			log.event(step)
			log.result(job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "pod was asked to stop by the cluster"})
		}},
		{"gone without a word: what the helper said last is not known", func(r *run) {
			r.start()
			r.deletePod()
		}},
		{"a second build container that cannot start: the first may run", func(r *run) {
			r.start()
			r.update(func(p *corev1.Pod) {
				setStatus(p, "build", startBroken)
				for i := range p.Status.ContainerStatuses {
					p.Status.ContainerStatuses[i].RestartCount = 1
				}
			})
		}},
		{"a lost node", func(r *run) {
			log := r.start()
			r.change(log, func() { log.lost = true })
			r.update(func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "NodeLost" })
		}},
		{"canceled", func(r *run) {
			log := r.start()
			r.signals <- job.CancelGracefully
			synctest.Wait()
			log.event(job.Event{Result: &unbegun})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newCluster(t), kubernetes.Config{}, simplePlan(), func(task *executor.Task) {
					task.Again = func(context.Context, string) error { t.Error("the job begins anew"); return nil }
				})
				tt.lose(r)
				r.wait()
				if r.outcome.State == job.Success {
					t.Errorf("Run = %+v, %v", r.outcome, r.err)
				}
			})
		})
	}
}
