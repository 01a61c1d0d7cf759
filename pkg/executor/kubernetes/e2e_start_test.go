//go:build e2e

package kubernetes_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// BenchmarkE2EStartOfScript holds runnerd to its promise: a script starts at most
// half a second after a bare pod of its image would. Bare pods and jobs take
// turns; the figures are medians.
func BenchmarkE2EStartOfScript(b *testing.B) {
	no := false
	r := newReal(b, kubernetes.Config{AutomountServiceAccountToken: &no}) // as the bare pod
	var bare, ours, total, removal []time.Duration
	for i := 0; b.Loop(); i++ {
		d := barePod(b, r, fmt.Sprintf("bare-%d-%d", time.Now().UnixNano(), i))
		j := r.start(b, livePlan(image("test/debian:1"), "date +ran-%s.%N"))
		j.wait()
		ended := time.Since(j.began)
		log, _ := j.log.get()
		if j.err != nil || j.outcome.State != job.Success {
			b.Fatalf("Run = %+v, %v\n%s", j.outcome, j.err, log)
		}
		at := time.Now()
		if err := r.Remove(context.Background(), j.task); err != nil {
			b.Fatal(err)
		}
		if i == 0 {
			continue // it may have pulled the image
		}
		bare, total, removal = append(bare, d), append(total, ended), append(removal, time.Since(at))
		ours = append(ours, stamp(b, log).Sub(j.began))
	}
	if len(ours) == 0 {
		return
	}
	b.Logf("medians: bare %v, script %v, Run %v, Remove %v", median(bare), median(ours), median(total), median(removal))
	over := median(ours) - median(bare)
	b.ReportMetric(float64(over.Milliseconds()), "ms-above-a-bare-pod")
	if over > 500*time.Millisecond {
		b.Errorf("script starts %v after a bare pod would, want at most 500ms", over)
	}
	if median(removal) > 2500*time.Millisecond {
		b.Errorf("Remove takes %v, want about two seconds of the kubelet", median(removal))
	}
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// stamp finds the time that a script printed; all clocks are one machine's.
func stamp(t testing.TB, log string) time.Time {
	t.Helper()
	for line := range strings.Lines(log) {
		_, text, ok := strings.Cut(strings.TrimSpace(line), "ran-")
		if !ok || strings.HasPrefix(text, "%") {
			continue
		}
		seconds, nanos, _ := strings.Cut(text, ".")
		s, err1 := strconv.ParseInt(seconds, 10, 64)
		n, err2 := strconv.ParseInt(nanos, 10, 64)
		if err1 == nil && err2 == nil {
			return time.Unix(s, n)
		}
	}
	t.Fatalf("no time in log:\n%s", log)
	return time.Time{}
}

func barePod(t testing.TB, r *real, name string) time.Duration {
	t.Helper()
	ctx := context.Background()
	pods := r.client.API.CoreV1().Pods("default")
	began := time.Now()
	no := false
	_, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{Name: "c", Image: image("test/debian:1"), Command: []string{"date", "+ran-%s.%N"}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 300 {
		<-tick.C
		text, err := pods.GetLogs(name, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err == nil && strings.Contains(string(text), "ran-") {
			return stamp(t, string(text)).Sub(began)
		}
	}
	t.Fatal("bare pod did not run")
	return 0
}
