//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestPreemption: a pod that a more important one displaces is told apart from one
// that failed.
func TestPreemption(t *testing.T) {
	t.Parallel()
	most := mostMemory(t)
	s := start(t, options{kubernetes: fmt.Sprintf("memory_request = %q", most)})
	important := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}, Value: 1000}
	ctx := context.Background()
	classes := ground.api.SchedulingV1().PriorityClasses()
	if _, err := classes.Create(ctx, important, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := classes.Delete(ctx, important.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	j := s.add(standin.JobSpec{Name: "preempted", Script: []string{"echo begun", "sleep 300"}})
	s.until(j, "its script", logHas("\nbegun\n"))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "important"},
		Spec: corev1.PodSpec{PriorityClassName: important.Name, Containers: []corev1.Container{{
			Name: "c", Image: image("debian"), Command: []string{"sleep", "300"},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(most)}},
		}}, TerminationGracePeriodSeconds: new(int64)},
	}
	if _, err := ground.api.CoreV1().Pods(s.namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.finish(j, standin.Failed)
	says(t, j, "PreemptionByScheduler", "on node ")
	if got := j.FailureReason(); got != "runner_system_failure" {
		t.Errorf("failed with %s", got)
	}
	if err := ground.api.CoreV1().Pods(s.namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// mostMemory is more than half of what the node has, so that no two pods fit that
// ask for it.
func mostMemory(t *testing.T) string {
	t.Helper()
	nodes, err := ground.api.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("%d nodes, %v; want one", len(nodes.Items), err)
	}
	return strconv.FormatInt(nodes.Items[0].Status.Allocatable.Memory().Value()/10*6, 10)
}

// TestLostNode: the job of a node that answers no more fails with what the cluster
// says of it, although its pod cannot be seen to end. Every pod of the cluster is
// taken away: it runs alone.
func TestLostNode(t *testing.T) {
	s := start(t, options{})
	j := s.add(standin.JobSpec{Name: "lost", Script: []string{"echo begun", "sleep 300"}})
	s.until(j, "its script", logHas("\nbegun\n"))
	pauseKubelet(t)
	taintNode(t, corev1.Taint{Key: "runnerd.io/e2e-lost", Effect: corev1.TaintEffectNoExecute})
	s.finish(j, standin.Failed)
	says(t, j, "was taken away by the cluster on node ", "DeletionByTaintManager")
	if got := j.FailureReason(); got != "runner_system_failure" {
		t.Errorf("failed with %s", got)
	}
	if pod := s.pod(j); pod == nil || pod.DeletionTimestamp == nil {
		t.Errorf("the pod of the lost node is %v, want it to wait for its node", pod)
	}
}

var kubeletPID = regexp.MustCompile(`(?m)^kubelet +pid (\d+) `)

// pauseKubelet stops the node's agent until the test ends.
func pauseKubelet(t *testing.T) {
	t.Helper()
	out, err := exec.Command(ground.cluster, "status", "--name", ground.name).Output()
	found := kubeletPID.FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("status of the cluster: %v\n%s", err, out)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(found[1])))
	if err != nil {
		t.Fatal(err)
	}
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(pid, s); err != nil {
			t.Errorf("signal the kubelet, process %d: %v", pid, err)
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { signal(syscall.SIGCONT) })
}

// taintNode taints the node until the test ends.
func taintNode(t *testing.T, taint corev1.Taint) {
	t.Helper()
	ctx := context.Background()
	nodes, err := ground.api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Items {
		set := func(taints string) {
			patch := fmt.Sprintf(`{"spec":{"taints":%s}}`, taints)
			if _, err := ground.api.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				t.Errorf("taint node %s: %v", n.Name, err)
			}
		}
		set(fmt.Sprintf(`[{"key":%q,"effect":%q}]`, taint.Key, taint.Effect))
		t.Cleanup(func() { set("null") })
	}
}
