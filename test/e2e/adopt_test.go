//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// running starts a job of a killed site and waits until its script has printed text.
func (k *killed) running(spec standin.JobSpec, text string) {
	k.t.Helper()
	k.job = k.add(spec)
	k.until(k.job, text, func(j *standin.Job) bool { return strings.Contains(j.Text(), "\n"+text+"\n") })
}

// TestCanceledMeanwhile: a job is canceled while no daemon is there.
func TestCanceledMeanwhile(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{})}
	k.running(standin.JobSpec{Name: "canceled", Script: []string{"echo begun", "sleep 300"}, AfterScript: []string{`echo "after_script, status $CI_JOB_STATUS"`}}, "begun")
	k.kill()
	k.job.Cancel()
	k.startDaemon()
	k.finish(k.job, standin.Canceled)
	if !strings.Contains(k.job.Text(), "\nafter_script, status canceled\n") {
		t.Errorf("after_script did not run:\n%s", k.job.Text())
	}
}

// TestOverMeanwhile: GitLab has given a job up while no daemon was there: what is
// left of it goes.
func TestOverMeanwhile(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{})}
	k.running(standin.JobSpec{Name: "over", Script: []string{"echo begun", "sleep 300"}}, "begun")
	pod := k.pod(k.job)
	k.kill()
	k.job.Cancel()
	k.job.ForceCancel()
	k.startDaemon()
	k.gone(pod)
}

// TestPodGoneMeanwhile: a pod that was deleted while no daemon was there is not made
// again, because its script has run. GitLab keeps what it has of the log.
func TestPodGoneMeanwhile(t *testing.T) {
	t.Parallel()
	// Of what is lost here nobody can make a checksum, or end the section.
	k := &killed{site: start(t, options{gitlab: standin.Options{Allow: []string{"14.16", "14.28"}}})}
	k.running(standin.JobSpec{Name: "gone", Script: []string{"echo begun", "sleep 300"}}, "begun")
	pod := k.pod(k.job)
	k.kill()
	now := int64(0)
	if err := ground.api.CoreV1().Pods(k.namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	k.gone(pod)
	k.startDaemon()
	k.finish(k.job, standin.Failed)
	if k.job.FailureReason() != "runner_system_failure" {
		t.Errorf("failure reason %s", k.job.FailureReason())
	}
	for _, text := range []string{"\nbegun\n", "pod " + pod.Name + " is gone"} {
		if n := strings.Count(k.job.Text(), text); n != 1 {
			t.Errorf("%q is %d times in the log:\n%s", text, n, k.job.Text())
		}
	}
}

var tick = regexp.MustCompile(`(?m)\[service:[^]]*\] tick ([0-9]+)$`)

// TestServiceOutputAcrossKills: what a service prints is in the log once, in order,
// though two daemons die meanwhile.
func TestServiceOutputAcrossKills(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{})}
	const loop = `i=0; while :; do i=$((i+1)); echo "tick $i"; sleep 0.3; done`
	k.running(standin.JobSpec{
		Name:      "services",
		Variables: []standin.Variable{{Key: "CI_DEBUG_SERVICES", Value: "true", Public: true}},
		Services:  []standin.Service{{Name: image("busybox"), Alias: "ticker", Entrypoint: []string{"sh", "-c"}, Command: []string{loop}}},
		Script:    []string{`for i in $(seq 1 120); do echo "line $i"; sleep 0.1; done`},
	}, "line 10")
	k.kill()
	k.startDaemon()
	k.until(k.job, "line 60", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nline 60\n") })
	k.kill()
	k.startDaemon()
	k.finish(k.job, standin.Success)
	ticks := tick.FindAllStringSubmatch(k.job.Text(), -1)
	if len(ticks) < 20 {
		t.Errorf("%d lines of the service are in the log", len(ticks))
	}
	for i, m := range ticks {
		if m[1] != strconv.Itoa(i+1) {
			t.Fatalf("line %d of the service is %q; the log:\n%s", i+1, m[0], k.job.Text())
		}
	}
	for i := 1; i <= 120; i++ {
		if n := strings.Count(k.job.Text(), fmt.Sprintf("\nline %d\n", i)); n != 1 {
			t.Errorf("line %d is %d times in the log", i, n)
		}
	}
}

// TestLongLogAcrossAKill: the node has rotated the beginning of the log away, and
// the next daemon has the helper write it again.
func TestLongLogAcrossAKill(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{runner: "output_limit = 30000"})}
	const lines = 300000 // of 48 bytes
	const show = `seq -f "%08.0f abcdefghijklmnopqrstuvwxyz 0123456789" 1 `
	k.running(standin.JobSpec{Name: "long", Script: []string{show + strconv.Itoa(lines), "echo printed", "sleep 8", "echo end"}}, "printed")
	k.kill()
	k.startDaemon()
	k.finish(k.job, standin.Success)
	text := k.job.Text()
	var want strings.Builder
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&want, "%08d abcdefghijklmnopqrstuvwxyz 0123456789\n", i)
	}
	if !strings.Contains(text, want.String()) {
		t.Errorf("the log of %d bytes does not hold the output of %d bytes as it is", len(text), want.Len())
	}
	if n := strings.Count(text, "\nend\n"); n != 1 {
		t.Errorf("the end is %d times in the log", n)
	}
}

// TestKillAfterAnotherPull: the log of a pod that was given up, and deleted, is in
// the record.
func TestKillAfterAnotherPull(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{kubernetes: `pull_policy = ["always", "if-not-present"]`})}
	holdEnd("failed")(k)
	k.job = k.add(standin.JobSpec{Name: "another pull", Image: standin.Image{Name: ground.registry + "/test/nosuch:9"}})
	hit(k)
	before := k.job.Text()
	k.kill()
	k.startDaemon()
	k.finish(k.job, standin.Failed)
	if after := k.job.Text(); after != before {
		t.Errorf("the log has changed from\n%s\nto\n%s", before, after)
	}
	for _, text := range []string{"trying again with pull policy IfNotPresent", "ERROR: Job failed: "} {
		if n := strings.Count(before, text); n != 1 {
			t.Errorf("%q is %d times in the log:\n%s", text, n, before)
		}
	}
}

// TestAdoptedJobsComeFirst: adopted jobs have slots, and no new one comes until one
// is free.
func TestAdoptedJobsComeFirst(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{concurrent: 1})}
	k.running(standin.JobSpec{Name: "first", Script: []string{"echo begun", "sleep 6", "echo end"}}, "begun")
	k.kill()
	second := k.add(standin.JobSpec{Name: "second"})
	k.startDaemon()
	k.finish(k.job, standin.Success)
	k.finish(second, standin.Success)
	if ended, begun := when(t, k.job, standin.EventFinished), when(t, second, standin.EventHandedOut); begun.Before(ended) {
		t.Errorf("the second job was taken %v before the first one's end", ended.Sub(begun))
	}
	metrics, err := k.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(metrics, "gitlab_runner_jobs_total") {
		t.Errorf("no count of jobs in the metrics")
	}
}

// TestCacheAcrossKills: what a job saves is published by the daemon that has
// adopted it, as a whole and as a change.
func TestCacheAcrossKills(t *testing.T) {
	t.Parallel()
	_, lines := bucket(t)
	k := &killed{site: start(t, options{cache: lines})}
	for i, script := range []string{"mkdir -p tree && head -c 9M /dev/urandom > tree/big", "echo changed > tree/small", "ls tree"} {
		k.running(standin.JobSpec{Name: fmt.Sprint("cache ", i), Cache: tree("pull-push"), Script: []string{"echo begun", script, "sleep 4", digest}}, "begun")
		k.kill()
		k.startDaemon()
		k.finish(k.job, standin.Success)
		if i > 0 {
			says(t, k.job, "Cache tree-non_protected: hit")
		}
	}
	says(t, k.job, "\nbig\nsmall\n", "nothing sent")
}
