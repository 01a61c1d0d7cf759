package kubernetes_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/frame"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestBrokenStreamsLoseAndDoubleNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		var want strings.Builder
		for i := range 50 {
			line := strings.Repeat("x", i) + "\n"
			want.WriteString(line)
			log.write(line)
			if i%3 == 0 {
				synctest.Wait()
				log.cut()
			}
			time.Sleep(700 * time.Millisecond)
		}
		log.result(job.Outcome{State: job.Success})
		r.wait()
		if r.err != nil || r.log.String() != want.String() {
			t.Errorf("Run: %v, log = %q", r.err, r.log)
		}
		if last := log.sinces[len(log.sinces)-1]; last == nil {
			t.Error("a resumed stream was read from its begin")
		}
	})
}

// The node rotates the log while nobody reads: the helper has to say it again.
func TestRotatedLogIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("one\n")
		time.Sleep(time.Second)
		r.change(log, func() { log.opened = false; log.epoch++ })
		log.write("two\n")
		lost := log.frames[1]
		log.rotate(false)
		log.write("three\n")
		log.open()
		time.Sleep(5 * time.Second)
		if got := r.pod().Annotations["runnerd.io/resend"]; got != "1" {
			t.Fatalf("annotation runnerd.io/resend = %q, want 1", got)
		}
		time.Sleep(time.Minute) // the helper did not notice; it is asked again
		if got := r.pod().Annotations["runnerd.io/resend"]; !strings.HasPrefix(got, "0") || strings.TrimLeft(got, "0") != "1" {
			t.Fatalf("annotation runnerd.io/resend = %q, want a changed 1", got)
		}
		third := log.frames[0]
		log.again(lost)
		log.again(third)
		log.write("four\n")
		log.result(job.Outcome{State: job.Success})
		r.wait()
		if r.err != nil || r.log.String() != "one\ntwo\nthree\nfour\n" {
			t.Errorf("Run: %v, log = %q", r.err, r.log)
		}
	})
}

// A kubelet can lose the file of a stream that was behind when the file was
// rotated. Nothing tells, but the silence.
func TestStreamThatLostItsFileIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		big := strings.Repeat("x", frame.MaxPayload)
		for range 1<<20/frame.MaxPayload + 1 {
			log.write(big)
		}
		time.Sleep(time.Second)
		log.write("lost\n")
		lost := log.frames[len(log.frames)-1]
		log.rotate(true)
		log.write("seen\n")
		seen := log.frames[0]
		time.Sleep(10 * time.Second)
		if got := r.pod().Annotations["runnerd.io/resend"]; got == "" {
			t.Fatal("the helper was not asked for the lost frames")
		}
		log.again(lost)
		log.again(seen)
		log.result(job.Outcome{State: job.Success})
		r.wait()
		if r.err != nil || !strings.HasSuffix(r.log.String(), "xlost\nseen\n") {
			t.Errorf("Run = %+v, %v, log of %d bytes", r.outcome, r.err, r.log.Len())
		}
	})
}

// A silent job's stream is left alone.
func TestSilentJobCostsNoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("begun\n")
		time.Sleep(time.Hour)
		if n := log.asked(); n != 1 {
			t.Errorf("log was asked for %d times, want once", n)
		}
		log.result(job.Outcome{State: job.Success})
		r.wait()
	})
}

func TestCorruptLogFailsTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("one\n")
		log.next.Offset += 5
		log.write("two\n")
		r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.RunnerSystemFailure {
			t.Errorf("Run = %v", r.err)
		}
	})
}

func TestEndsWithoutAResult(t *testing.T) {
	terminated := func(reason string, code int32, message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			setStatus(p, "helper", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, Message: message}})
		}
	}
	result, err := json.Marshal(job.Result{Outcome: job.Outcome{State: job.Success}, LogBytes: 12})
	if err != nil {
		t.Fatal(err)
	}
	const again = "the node has started the helper container again"
	second, err := json.Marshal(job.Result{Outcome: job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: again}, LogBytes: 3})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		cfg     kubernetes.Config
		change  func(*corev1.Pod)
		remove  bool
		want    job.Reason
		says    string
		outcome job.State
	}{
		{name: "helper out of memory", change: terminated("OOMKilled", 137, ""), want: job.RunnerSystemFailure, says: "ran out of memory: it was killed for the node's lack of memory (it has no limit of its own) on node node-1: OOMKilled, exit code 137"},
		{
			name: "helper out of its memory", cfg: kubernetes.Config{Helper: kubernetes.ResourceList{MemoryLimit: "32Mi"}},
			change: terminated("OOMKilled", 137, ""), want: job.RunnerSystemFailure,
			says: "helper container ran out of memory: it was killed at its limit of 32Mi on node node-1: OOMKilled, exit code 137",
		},
		{
			name: "killed by a signal", want: job.RunnerSystemFailure, says: "helper container ended without a result on node node-1: Error, exit code 137, signal 9",
			change: func(p *corev1.Pod) {
				setStatus(p, "helper", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 137, Signal: 9}})
			},
		},
		{
			name: "drained", remove: true, want: job.RunnerSystemFailure, says: "on node node-1: EvictionByEvictionAPI: Eviction API: evicting",
			change: func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
				}}
			},
		},
		{
			name: "its node is lost", remove: true, want: job.RunnerSystemFailure, says: "on node node-1: DeletionByTaintManager: Taint manager: deleting due to NoExecute taint",
			change: func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
				}}
			},
		},
		{name: "termination message", change: terminated("Completed", 0, string(result)), outcome: job.Success, says: "the last 6 bytes of the log were lost on node node-1"},
		// Its stream is its own, and shorter than what the first had written.
		{name: "a second helper", change: terminated("Completed", 0, string(second)), outcome: job.Failed, says: again},
		{
			name: "evicted", want: job.RunnerSystemFailure, says: "on node node-1: Evicted: The node was low on resource: memory.",
			change: func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
			},
		},
		{
			name: "deadline", want: job.JobExecutionTimeout, says: "activeDeadlineSeconds",
			change: func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "DeadlineExceeded" },
		},
		{name: "deleted from outside", remove: true, want: job.RunnerSystemFailure, says: "was deleted from outside on node node-1"},
		{
			name: "preempted", remove: true, want: job.RunnerSystemFailure, says: "PreemptionByScheduler: more important pod",
			change: func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "PreemptionByScheduler", Message: "more important pod",
				}}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newCluster(t), tt.cfg, simplePlan())
				log := r.start()
				log.event(job.Event{Phase: &job.PhaseEvent{Name: "step_script"}})
				log.write("begun\n")
				synctest.Wait()
				if tt.change != nil {
					r.update(tt.change)
				}
				if tt.remove {
					if err := r.CoreV1().Pods(namespace).Delete(t.Context(), r.pod().Name, metav1.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				log.end()
				took := r.wait()
				if tt.outcome != "" {
					if r.err != nil || r.outcome.State != tt.outcome || r.outcome.Message != tt.says {
						t.Errorf("Run = %+v, %v, want %s saying %q", r.outcome, r.err, tt.outcome, tt.says)
					}
				} else {
					var failure *job.Failure
					if !errors.As(r.err, &failure) || failure.Reason != tt.want || !strings.Contains(failure.Message, tt.says) {
						t.Errorf("Run = %+v, %v, want %s saying %q", r.outcome, r.err, tt.want, tt.says)
					}
				}
				if took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// A stream can die without a word while the node and the log are fine. The log is
// read anew before its end is given up.
func TestStreamThatDiedBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("begun\n")
		time.Sleep(time.Second)
		log.stall()
		log.write("ended\n")
		log.result(job.Outcome{State: job.Success})
		result, err := json.Marshal(job.Result{Outcome: job.Outcome{State: job.Success}, LogBytes: 12})
		if err != nil {
			t.Fatal(err)
		}
		r.update(func(p *corev1.Pod) {
			setStatus(p, "helper", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", Message: string(result)}})
		})
		r.wait()
		if r.err != nil || r.outcome.Message != "" || r.log.String() != "begun\nended\n" {
			t.Errorf("Run = %+v, %v, log %q", r.outcome, r.err, r.log)
		}
	})
}

// The API server's connection to a lost node says nothing and does not end.
func TestStreamOfALostNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("begun\n")
		time.Sleep(time.Second)
		r.change(log, func() { log.lost = true })
		r.update(func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "NodeLost", "Node node-1 which was running pod is unresponsive"
		})
		took := r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.RunnerSystemFailure || !strings.Contains(failure.Message, "NodeLost") {
			t.Errorf("Run = %+v, %v", r.outcome, r.err)
		}
		if took != 30*time.Second {
			t.Errorf("took %v, want 30s", took)
		}
	})
}

func TestBuildContainerKilledForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{Build: kubernetes.ResourceList{MemoryLimit: "64Mi"}}, simplePlan())
		log := r.start()
		log.write("begun\n")
		time.Sleep(time.Second)
		r.update(func(p *corev1.Pod) {
			setStatus(p, "build", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}})
		})
		took := r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.ScriptFailure || failure.ExitCode != 137 || !strings.Contains(failure.Message, "64Mi") {
			t.Errorf("Run = %+v, %v", r.outcome, r.err)
		}
		if took != 10*time.Second {
			t.Errorf("took %v, want 10s for the helper's own word", took)
		}
	})
}

// When the cluster wants the pod gone the helper says so itself; the executor adds
// what the pod's status knows. A kubelet may also stop a pod that nobody wants gone.
func TestStopIsTheHelpersWordWithTheClustersReason(t *testing.T) {
	evicted := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
	}
	for why, conditions := range map[string][]corev1.PodCondition{
		"EvictionByEvictionAPI: Eviction API: evicting":                       {evicted},
		"nobody is known to have deleted or evicted it, so its node did that": nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
			log := r.start()
			log.write("begun\n")
			r.update(func(p *corev1.Pod) { p.Status.Conditions = conditions })
			log.event(job.Event{Result: &job.Result{
				Outcome:  job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "pod was asked to stop by the cluster"},
				LogBytes: int64(len("begun\n")), Stopped: true,
			}})
			r.wait()
			want := "pod was asked to stop by the cluster (" + why + ", node node-1)"
			var failure *job.Failure
			if !errors.As(r.err, &failure) || failure.Message != want {
				t.Errorf("Run = %+v, %v, want message %q", r.outcome, r.err, want)
			}
		})
	}
}

func TestStrayLinesDoNotReachTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.again([]byte("panic: runtime error\n"))
		log.frame(frame.Log, []byte("hello\n"))
		log.result(job.Outcome{State: job.Success})
		r.wait()
		if r.err != nil || r.log.String() != "hello\n" {
			t.Errorf("Run: %v, log = %q", r.err, r.log)
		}
	})
}

// TestLostFramesAreLeftOut: the node has rotated frames away, and the helper that
// could write them again is dead. What is there is brought, with the size of the gap.
func TestLostFramesAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("one\n")
		time.Sleep(time.Second)
		r.change(log, func() { log.opened = false; log.epoch++ })
		log.write("rotated away\n")
		log.rotate(false)
		log.write("the first line of a file is not trusted\n")
		log.write("three\n")
		log.result(job.Outcome{State: job.Success})
		r.update(func(p *corev1.Pod) {
			setStatus(p, "helper", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}})
		})
		log.open()
		r.wait()
		if want := "one\n(53 bytes lost)\nthree\n"; r.err != nil || r.log.String() != want {
			t.Errorf("Run: %+v, %v, log = %q, want %q", r.outcome, r.err, r.log.String(), want)
		}
	})
}

func buildCompleted(p *corev1.Pod) {
	setStatus(p, "build", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}})
}

// TestLostEndIsAskedForAgain: the container runtime has died with the log's end in its
// hands. The helper stays and repeats its last frame; that the build container has
// ended meanwhile is no failure, however long the node takes to tell the helper.
func TestLostEndIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("one\n")
		time.Sleep(time.Second)
		end := log.losing(func() {
			log.write("two\n")
			log.event(job.Event{Result: &job.Result{Outcome: job.Outcome{State: job.Success}, LogBytes: log.next.Offset}})
		})
		r.update(buildCompleted)
		time.Sleep(3 * time.Second)
		log.again(end[1])
		time.Sleep(20 * time.Second)
		if got := r.pod().Annotations["runnerd.io/resend"]; strings.TrimLeft(got, "0") != "1" {
			t.Fatalf("annotation runnerd.io/resend = %q, want 1", got)
		}
		log.again(end[0])
		log.again(end[1])
		r.wait()
		if r.err != nil || r.outcome.State != job.Success || r.log.String() != "one\ntwo\n" {
			t.Errorf("Run: %+v, %v, log = %q", r.outcome, r.err, r.log)
		}
	})
}

// TestSilentStreamIsReplacedAtTheEnd: a stream has died without a word, and the
// helper, which stays, does not end with the job.
func TestSilentStreamIsReplacedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("one\n")
		time.Sleep(time.Second)
		log.stall()
		log.write("two\n")
		log.event(job.Event{Result: &job.Result{Outcome: job.Outcome{State: job.Success}, LogBytes: log.next.Offset}})
		r.update(buildCompleted)
		r.wait()
		if r.err != nil || r.outcome.State != job.Success || r.log.String() != "one\ntwo\n" {
			t.Errorf("Run: %+v, %v, log = %q", r.outcome, r.err, r.log)
		}
	})
}

// TestResultOutlivesTheAPIServersAbsence: an API server that goes away when the helper
// is over, for however long, costs time only.
func TestResultOutlivesTheAPIServersAbsence(t *testing.T) {
	for name, err := range map[string]error{
		"refused":      errors.New("dial tcp: connection refused"),
		"unauthorized": apierrors.NewUnauthorized("the token has expired"),
		"throttled":    apierrors.NewTooManyRequests("later", 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
				log := r.start()
				log.write("one\n")
				time.Sleep(time.Second)
				r.change(log, func() { log.away = err; log.epoch++ })
				log.write("two\n")
				log.result(job.Outcome{State: job.Success})
				r.update(func(p *corev1.Pod) {
					setStatus(p, "helper", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}})
				})
				time.Sleep(20 * time.Minute)
				r.change(log, func() { log.away = nil })
				r.wait()
				if r.err != nil || r.log.String() != "one\ntwo\n" {
					t.Errorf("Run: %+v, %v, log = %q", r.outcome, r.err, r.log.String())
				}
			})
		})
	}
}
