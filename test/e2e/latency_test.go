//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// BenchmarkLatency measures a job against a bare pod, turn by turn in the same
// run: use -benchtime 20x. It reports medians in seconds.
//
//	start      handed out → the script runs, above bare pod create → its command runs
//	whole      handed out → final state, above bare pod create → complete log at a client
//	end        the script's end → final state
func BenchmarkLatency(b *testing.B) {
	s := start(b, options{gitlab: standin.Options{TraceInterval: 3 * time.Second}})
	var m struct{ podStart, podWhole, jobStart, jobWhole, jobEnd []time.Duration }
	measure := func() {
		running, whole := barePod(b, s)
		m.podStart, m.podWhole = append(m.podStart, running), append(m.podWhole, whole)

		j := s.add(standin.JobSpec{Name: "no-op", Script: []string{"date +now=%s%N"}})
		s.finish(j, standin.Success)
		handedOut, finished := when(b, j, standin.EventHandedOut), when(b, j, standin.EventFinished)
		script := printed(b, j.Text(), "now=")
		m.jobStart = append(m.jobStart, script.Sub(handedOut))
		m.jobWhole = append(m.jobWhole, finished.Sub(handedOut))
		m.jobEnd = append(m.jobEnd, finished.Sub(script))
		wait(b, "the job's pod to be gone", func() bool { return s.pod(j) == nil })
	}
	measure() // images and connections are warm from here on
	m.podStart, m.podWhole, m.jobStart, m.jobWhole, m.jobEnd = nil, nil, nil, nil, nil
	for b.Loop() {
		measure()
	}
	report := func(name string, d time.Duration) { b.ReportMetric(d.Seconds(), name) }
	report("s/pod-start", median(m.podStart))
	report("s/job-start", median(m.jobStart))
	report("s/start-above-pod", median(m.jobStart)-median(m.podStart))
	report("s/pod-whole", median(m.podWhole))
	report("s/job-whole", median(m.jobWhole))
	report("s/whole-above-pod", median(m.jobWhole)-median(m.podWhole))
	report("s/end-no-op", median(m.jobEnd))
}

// BenchmarkEnd measures the script's end → final state of a ten-second job.
func BenchmarkEnd(b *testing.B) {
	s := start(b, options{concurrent: 4, gitlab: standin.Options{TraceInterval: 3 * time.Second}})
	var ends []time.Duration
	for b.Loop() {
		j := s.add(standin.JobSpec{Name: "ten seconds", Script: []string{
			"for i in 1 2 3 4 5 6 7 8 9 10; do echo tick $i; sleep 1; done", "date +now=%s%N",
		}})
		s.finish(j, standin.Success)
		ends = append(ends, when(b, j, standin.EventFinished).Sub(printed(b, j.Text(), "now=")))
	}
	b.ReportMetric(median(ends).Seconds(), "s/script-end-to-final")
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// barePod runs the same image with client-go alone. running is until its
// command runs, whole until the complete log is here.
func barePod(b *testing.B, s *site) (running, whole time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pods := ground.api.CoreV1().Pods(s.namespace)
	began := time.Now()
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bare-"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "build", Image: image("debian"), Command: []string{"sh", "-c", "echo; date +now=%s%N"},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	text := completeLog(ctx, b, s, pod.Name)
	whole = time.Since(began)
	running = printed(b, text, "now=").Sub(began)
	if err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		b.Fatal(err)
	}
	s.gone(pod)
	return running, whole
}

// completeLog follows a pod's log to its end, from the first moment at which
// the API server offers it.
func completeLog(ctx context.Context, b *testing.B, s *site, pod string) string {
	b.Helper()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		stream, err := ground.api.CoreV1().Pods(s.namespace).GetLogs(pod, &corev1.PodLogOptions{Follow: true}).Stream(ctx)
		if err == nil {
			text, err := io.ReadAll(stream)
			stream.Close()
			if err != nil {
				b.Fatal(err)
			}
			if strings.Contains(string(text), "now=") {
				return string(text)
			}
			err = fmt.Errorf("log is %q", text)
			b.Log(err)
		}
		select {
		case <-ctx.Done():
			b.Fatal(ctx.Err())
		case <-retry.C:
		}
	}
}
