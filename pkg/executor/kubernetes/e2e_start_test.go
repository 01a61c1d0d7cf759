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

// The project's promise: at most half a second above a bare pod.
func TestE2EStartOfScript(t *testing.T) {
	no := false
	r := newReal(t, kubernetes.Config{AutomountServiceAccountToken: &no}) // as the bare pod
	const rounds = 9
	var bare, ours, total, removal []time.Duration
	for i := range rounds {
		if d := barePod(t, r, fmt.Sprintf("bare-%d-%d", time.Now().Unix(), i)); i > 0 { // the first one pulls
			bare = append(bare, d)
		}
		j := r.start(t, livePlan(image("test/debian:1"), "date +ran-%s.%N"))
		j.wait()
		ended := time.Since(j.began)
		log, _ := j.log.get()
		if j.err != nil || j.outcome.State != job.Success {
			t.Fatalf("Run = %+v, %v\n%s", j.outcome, j.err, log)
		}
		at := time.Now()
		if err := r.Remove(context.Background(), j.task); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			ours = append(ours, stamp(t, log).Sub(j.began))
			total = append(total, ended)
			removal = append(removal, time.Since(at))
		}
	}
	t.Logf("create → runs: bare pod %v; script %v; Run returns %v; Remove takes %v", bare, ours, total, removal)
	t.Logf("medians: bare %v, script %v, Run %v, Remove %v", median(bare), median(ours), median(total), median(removal))
	if over := median(ours) - median(bare); over > 500*time.Millisecond {
		t.Errorf("script starts %v after a bare pod would, want at most 500ms", over)
	}
	if median(removal) > 2500*time.Millisecond {
		t.Errorf("Remove takes %v, want about two seconds of the kubelet", median(removal))
	}
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// stamp finds the time that a script printed; all clocks are one machine's.
func stamp(t *testing.T, log string) time.Time {
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

func barePod(t *testing.T, r *real, name string) time.Duration {
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
