//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/test/conformance"
)

// TestConformance runs the table of test/conformance in both places. With
// RUNNERD_CONFORMANCE_REPORT it writes the report there; ROWS=a,b picks rows.
func TestConformance(t *testing.T) {
	results := conformance.Results{conformance.Cluster: {}, conformance.Local: {}}
	rows := picked()
	for _, place := range []string{conformance.Cluster, conformance.Local} {
		for _, site := range conformance.Sites {
			t.Run(place+"/"+cmp.Or(site.Name, "plain"), func(t *testing.T) { runRows(t, place, site, rows, results[place]) })
		}
	}
	if path := os.Getenv("RUNNERD_CONFORMANCE_REPORT"); path != "" {
		if err := os.WriteFile(path, []byte(conformance.Report(rows, results)), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func picked() []conformance.Row {
	rows := conformance.Rows()
	names := os.Getenv("ROWS")
	if names == "" {
		return rows
	}
	var some []conformance.Row
	for _, row := range rows {
		if strings.Contains(","+names+",", ","+row.Name+",") {
			some = append(some, row)
		}
	}
	return some
}

// runRows runs the rows of one config in one place, eight at a time.
func runRows(t *testing.T, place string, config conformance.Site, rows []conformance.Row, results map[string]conformance.Verdict) {
	var mine []conformance.Row
	for _, row := range rows {
		if row.Site == config.Name && (place == conformance.Cluster || row.On == conformance.Everywhere) {
			mine = append(mine, row)
		}
	}
	if len(mine) == 0 {
		return
	}
	o := options{concurrent: 8, runner: config.Runner, kubernetes: config.Kubernetes, gitlab: standin.Options{Allow: config.Allow, TLS: config.PrivateCA}}
	if place == conformance.Local {
		o.executor = "local"
	}
	w := &conformance.World{Place: place, Image: image, Private: privateRegistry()}
	if config.Vault {
		w.Vault, o.cache = startVault(t)
	}
	if config.ClientCertificate {
		o = admitted(t, o)
	}
	s := start(t, o)
	w.Server = s.gitlab
	if err := w.Populate(); err != nil {
		t.Fatal(err)
	}
	if place == conformance.Cluster {
		pods := recordPods(t, s.namespace)
		w.Pod, w.Gone = pods.of, pods.gone
	}
	jobs := make([]*standin.Job, len(mine))
	ctx, over := context.WithCancel(context.Background())
	var canceling sync.WaitGroup
	defer canceling.Wait()
	defer over()
	for i, row := range mine {
		jobs[i] = s.gitlab.AddJob(w.Spec(row))
		if row.CancelAt != "" {
			canceling.Go(func() { cancelAt(ctx, jobs[i], row.CancelAt) })
		}
	}
	for i, row := range mine {
		t.Run(row.Name, func(t *testing.T) {
			results[row.Name] = conformance.Broken
			verifyRow(t, w, row, jobs[i])
			results[row.Name] = conformance.Passed
		})
	}
}

// cancelAt presses a job's cancel button when its log has a line.
func cancelAt(ctx context.Context, j *standin.Job, line string) {
	if err := j.Until(ctx, func(j *standin.Job) bool {
		return j.State().Final() || strings.Contains(j.Text(), "\n"+line+"\n")
	}); err == nil {
		j.Cancel() // its row sees what has become of it
	}
}

// A podRecord keeps what the pods of a namespace are, for rows that look when
// they are gone.
type podRecord struct {
	mu   sync.Mutex
	pods map[string]conformance.Pod // by the job's id
}

// recordPods records until the test ends.
func recordPods(t *testing.T, namespace string) *podRecord {
	r := &podRecord{pods: map[string]conformance.Pod{}}
	factory := informers.NewSharedInformerFactoryWithOptions(ground.api, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().Pods().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(pod any) { r.see(pod, time.Time{}) },
		UpdateFunc: func(_, pod any) { r.see(pod, time.Time{}) },
		DeleteFunc: func(pod any) { r.see(pod, time.Now()) },
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	factory.WaitForCacheSync(ctx.Done())
	return r
}

func (r *podRecord) see(object any, ended time.Time) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj // it was deleted while the connection was down
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	seen := asPod(pod)
	seen.Ended = ended
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pods[pod.Annotations["job.runner.gitlab.com/id"]] = seen
}

// of returns a job's pod as it was last.
func (r *podRecord) of(j *standin.Job) (conformance.Pod, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pod, ok := r.pods[strconv.FormatInt(j.ID(), 10)]
	if !ok {
		return pod, errors.New("no pod of the job was seen")
	}
	return pod, nil
}

// gone waits until a job's pod is.
func (r *podRecord) gone(j *standin.Job) (conformance.Pod, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pod, err := r.of(j)
		if err != nil || !pod.Ended.IsZero() {
			return pod, err
		}
		select {
		case <-deadline.C:
			return pod, fmt.Errorf("the pod is not gone after %v", patience)
		case <-tick.C:
		}
	}
}

func asPod(pod *corev1.Pod) conformance.Pod {
	text, err := json.Marshal(pod)
	if err != nil {
		text = []byte(err.Error()) // what a row looks for is not in it
	}
	p := conformance.Pod{Labels: pod.Labels, Annotations: pod.Annotations, Environment: map[string]string{}, JSON: string(text)}
	for _, c := range pod.Spec.Containers {
		if c.Name != "build" {
			continue
		}
		for _, e := range c.Env {
			p.Environment[e.Name] = e.Value
		}
	}
	return p
}
