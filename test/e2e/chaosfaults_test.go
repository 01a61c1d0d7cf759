//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/test/chaos"
)

// strike waits for a fault's moment and makes it happen. It returns when whatever
// was broken is whole again; only GitLab's faults go on beside what comes next.
func (c *turmoil) strike(watching context.Context, t *told) {
	f := t.Fault
	target, line := c.await(f)
	if target == nil {
		t.Missed = "no job was left"
		return
	}
	t.Moment = fmt.Sprintf("%s, line %d", target.Name(), line)
	replica := c.replicas[f.Replica]
	pause(f.After)
	t.at, t.jobs = time.Now(), c.running(nil)
	switch f.Kind {
	case chaos.Kill:
		t.jobs = c.running(replica)
		c.kill(replica)
		pause(f.For)
		replica.startDaemon()
	case chaos.KillAll:
		for _, r := range c.replicas {
			c.kill(r)
		}
		pause(f.For)
		for _, r := range c.replicas {
			r.startDaemon()
		}
	case chaos.Lose:
		t.jobs = c.running(replica)
		c.lose(replica, t)
	case chaos.LetGo:
		t.jobs = c.running(replica)
		c.letGo(replica)
		pause(f.For)
		replica.startDaemon()
	case chaos.Freeze:
		t.jobs = c.running(replica)
		c.signal(replica, syscall.SIGSTOP)
		pause(f.For)
		c.signal(replica, syscall.SIGCONT)
	case chaos.APIServer:
		c.restart("apiserver", f.Brutal)
	case chaos.Kubelet:
		c.restart("kubelet", f.Brutal)
	case chaos.Etcd:
		c.restart("etcd", f.Brutal)
	case chaos.Runtime:
		c.restart("containerd", f.Brutal)
	case chaos.KillBlind:
		c.killBlind(replica, f.Brutal)
	case chaos.PodBefore, chaos.PodAmid:
		t.jobs = []*standin.Job{target}
		c.deletePodOf(target, t)
	default:
		c.spoil(watching, t)
		return
	}
	t.whole = time.Now()
}

// pause is a part of a fault: the time that somebody is away.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

func (c *turmoil) signal(r *site, s syscall.Signal) {
	c.t.Helper()
	if err := r.daemon.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends a replica as the kernel would.
func (c *turmoil) kill(r *site) {
	c.t.Helper()
	c.signal(r, syscall.SIGKILL)
	<-r.exited
	c.gitlab.ExpectRestart()
	c.excuse(r, time.Now())
}

// letGo ends a replica as Kubernetes would: its jobs stay for the next one.
func (c *turmoil) letGo(r *site) {
	c.t.Helper()
	asked := time.Now()
	c.signal(r, syscall.SIGTERM)
	if err := <-r.exited; err != nil {
		c.t.Errorf("a replica ended with %v, want exit code 0", err)
	}
	c.gitlab.ExpectRestart()
	for _, j := range c.jobs { // GitLab may have handed it out after the signal
		if j.FailureReason() == "runner_interrupted" && !c.scriptBegun(j) && when(c.t, j, standin.EventFinalUpdate).After(asked) {
			c.excuses[j] = interrupted
		}
	}
	c.excuse(r, time.Now())
}

// excuse notes the jobs that a replica had when it died and that have no record. A record may be
// made late, by a request that was on its way: then the job has to be right all
// the same, if somebody finds it.
func (c *turmoil) excuse(r *site, died time.Time) {
	c.t.Helper()
	c.deaths = append(c.deaths, death{r.systemID(), died})
	for _, j := range c.running(r) {
		if len(c.recordOf(j)) == 0 && c.excuses[j] == "" && when(c.t, j, standin.EventHandedOut).Before(died) {
			c.excuses[j] = neverHeard
		}
	}
}

// lose kills a replica and keeps it away until the others have gone on with its jobs.
func (c *turmoil) lose(r *site, t *told) {
	c.t.Helper()
	c.kill(r)
	t.whole = time.Now()
	for _, j := range t.jobs {
		if c.excuses[j] == neverHeard {
			continue
		}
		c.until(j, "news from another replica", func(j *standin.Job) bool { return heardSince(j, t.whole) })
	}
	r.startDaemon()
}

// heardSince reports whether GitLab has got any of a job's log, or its end, since
// a time.
func heardSince(j *standin.Job, since time.Time) bool {
	for _, e := range j.Events() {
		if !e.Time.Before(since) && (e.Kind == standin.EventPatch && e.Detail == "" || e.Kind == standin.EventFinished) {
			return true
		}
	}
	return false
}

func (c *turmoil) restart(component string, brutal bool) {
	c.t.Helper()
	clusterTool(c.t, restartArgs(component, brutal)...)
}

func restartArgs(component string, brutal bool) []string {
	args := []string{"restart", component, "--name", ground.name}
	if brutal {
		args = append(args, "--kill")
	}
	return args
}

// killBlind kills a replica while the API server is away, and starts it again into
// that.
func (c *turmoil) killBlind(r *site, brutal bool) {
	c.t.Helper()
	var out bytes.Buffer
	tool := exec.Command(ground.cluster, restartArgs("apiserver", brutal)...)
	tool.Stdout, tool.Stderr = &out, &out
	if err := tool.Start(); err != nil {
		c.t.Fatal(err)
	}
	wait(c.t, "the API server to be away", away)
	c.signal(r, syscall.SIGKILL)
	<-r.exited
	died := time.Now()
	c.gitlab.ExpectRestart()
	r.startDaemon()
	if err := tool.Wait(); err != nil {
		c.t.Errorf("restart the API server: %v\n%s", err, out.String())
	}
	c.excuse(r, died)
}

// away reports whether the API server does not answer. It asks once: a client that
// tries again would not see it, as the next process takes connections long before
// it answers.
func away() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return ground.api.Discovery().RESTClient().Get().AbsPath("/version").MaxRetries(0).Do(ctx).Error() != nil
}

// deletePodOf deletes a job's pod, and waits until it is known what becomes of the
// job. A job whose script has not begun has another pod then.
func (c *turmoil) deletePodOf(j *standin.Job, t *told) {
	c.t.Helper()
	pod := c.findPod(j)
	if pod == nil {
		t.Missed = j.Name() + " had no pod any more"
		return
	}
	err := ground.api.CoreV1().Pods(c.namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{})
	if err != nil {
		t.Missed = j.Name() + ": " + err.Error()
		return
	}
	if t.Fault.Kind == chaos.PodAmid {
		c.excuses[j] = podDeleted
	}
	c.until(j, "another pod, or its end", func(j *standin.Job) bool {
		if j.State().Final() {
			return true
		}
		next := c.findPod(j)
		return next != nil && next.UID != pod.UID
	})
	if t.Fault.Kind == chaos.PodBefore && c.scriptBegun(j) && j.FailureReason() == "runner_system_failure" {
		c.excuses[j] = podDeleted
		t.Missed = j.Name() + "'s script had begun, after all"
	}
}

// stoppedByKubelet reports whether the node has ended a job's containers, or started
// one again, although nobody wanted that. A kubelet does so to a pod now and then that
// looks lost to it when the container runtime has come back.
func (c *turmoil) stoppedByKubelet(j *standin.Job) bool {
	hit := slices.ContainsFunc(c.told, func(t told) bool {
		return (t.Fault.Kind == chaos.Runtime || t.Fault.Kind == chaos.Kubelet) && slices.Contains(t.jobs, j)
	})
	said := slices.ContainsFunc([]string{"so its node did that", "the node has started the build container again", "the node has started the helper container again"},
		func(words string) bool { return strings.Contains(j.Text(), words) })
	if hit && strings.Contains(j.Text(), "Unknown, exit code 255") { // the runtime's own word for a container that it has lost
		return true
	}
	pod := regexp.MustCompile(`Running on (\S+) via`).FindStringSubmatch(j.Text())
	if !hit || !said || pod == nil {
		return false
	}
	events, err := ground.api.CoreV1().Events(c.namespace).List(context.Background(), metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + pod[1],
	})
	if err != nil {
		c.t.Error(err)
		return false
	}
	created := map[string]int{} // by container
	for _, e := range events.Items {
		what := e.InvolvedObject.FieldPath
		switch {
		case e.Reason == "Killing" && what == "spec.containers{build}":
			return true
		case e.Reason == "Created":
			if created[what] += int(max(e.Count, 1)); created[what] > 1 {
				return true
			}
		}
	}
	return false
}

// findPod returns the pod of a job, nil where there is none.
func (c *turmoil) findPod(j *standin.Job) *corev1.Pod {
	pods, err := ground.api.CoreV1().Pods(c.namespace).List(context.Background(), metav1.ListOptions{
		LabelSelector: "runnerd.io/job=" + strconv.FormatInt(j.ID(), 10),
	})
	if err != nil || len(pods.Items) == 0 {
		return nil
	}
	return &pods.Items[len(pods.Items)-1]
}

// spoil makes GitLab fail, until the fault has hit as many requests as it is for, or
// all jobs are over. It is over when logs and states get through again; requests for
// jobs are rare while all slots are taken.
func (c *turmoil) spoil(watching context.Context, t *told) {
	var injected []*standin.Injected
	for _, f := range t.Fault.GitLab {
		injected = append(injected, c.gitlab.Inject(f))
	}
	t.whole = t.at
	c.watchers.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		defer func() {
			for _, f := range injected {
				t.Hits += f.Hits()
				f.Remove()
			}
			if t.Hits == 0 {
				t.Missed = "no request came"
			}
		}()
		for i, f := range t.Fault.GitLab {
			for f.Endpoint != standin.RequestJob && injected[i].Hits() < f.Times {
				select {
				case <-watching.Done():
					t.whole = time.Now()
					return
				case <-tick.C:
				}
			}
		}
		t.whole = time.Now()
		<-watching.Done()
	})
}
