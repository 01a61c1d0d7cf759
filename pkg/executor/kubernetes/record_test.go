package kubernetes_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
)

func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.namespace = "ci-fork"
		plan := simplePlan()
		plan.JobURL, plan.Placement.Namespace = "https://gitlab.example.com/retail/web/shop/-/jobs/4711", "ci-fork"
		r := start(t, c, placing(), plan)
		long := strings.Repeat("é", 600)
		verdicts := []kubernetes.Verdict{
			{Rule: "releases", Message: "allowed"},
			{Denied: true, Rule: "forks", Message: long},
			{Denied: true, Audit: true, Message: "denied in audit mode"},
		}
		for _, v := range append(verdicts, verdicts...) { // the second time changes nothing
			if err := r.executor.Record(t.Context(), plan, v); err != nil {
				t.Fatal(err)
			}
		}
		list, err := c.CoreV1().Events("ci-fork").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != len(verdicts) {
			t.Fatalf("%d Events, %v, want %d", len(list.Items), err, len(verdicts))
		}
		got := map[string]string{}
		for i := range list.Items {
			e := &list.Items[i]
			got[e.Reason] = e.Type + " " + e.Annotations["runnerd.io/rule"] + ": " + e.Message
			want := corev1.Event{
				TypeMeta: e.TypeMeta, ObjectMeta: e.ObjectMeta, Reason: e.Reason, Type: e.Type, Message: e.Message,
				InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "ci-fork", Name: r.pod().Name},
				Source:         corev1.EventSource{Component: "runnerd"},
				FirstTimestamp: metav1.NewTime(time.Now()), LastTimestamp: metav1.NewTime(time.Now()), Count: 1,
				ReportingController: "runnerd.io/runnerd", ReportingInstance: "r_0123456789ab",
			}
			if diff := cmp.Diff(want, *e); diff != "" {
				t.Errorf("Event (-want +got):\n%s", diff)
			}
			if e.Labels["runnerd.io/job"] != "4711" || e.Annotations["job.runner.gitlab.com/url"] != plan.JobURL {
				t.Errorf("Event's labels %v, annotations %v", e.Labels, e.Annotations)
			}
		}
		want := map[string]string{
			"JobAllowed":       "Normal releases: allowed",
			"JobDenied":        "Warning forks: " + long[:1024],
			"JobWouldBeDenied": "Warning : denied in audit mode",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Events (-want +got):\n%s", diff)
		}
	})
}

func TestRecordThatFails(t *testing.T) {
	events := schema.GroupResource{Resource: "events"}
	tests := []struct {
		name string
		err  error
		want string
		took time.Duration
	}{
		{"forbidden", apierrors.NewForbidden(events, "", errors.New("RBAC")), "its Role needs the verb create for events", 0},
		{"no answer", errors.New("connection refused"), "connection refused", 10 * time.Second},
		{"invalid", apierrors.NewBadRequest("odd"), "odd", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.PrependReactor("create", "events", func(clienttest.Action) (bool, runtime.Object, error) { return true, nil, tt.err })
				r := start(t, c, placing(), simplePlan())
				began := time.Now()
				err := r.executor.Record(t.Context(), r.task.Plan, kubernetes.Verdict{})
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `in namespace "ci"`) {
					t.Errorf("Record = %v, want %q in it", err, tt.want)
				}
				if took := time.Since(began); took > tt.took {
					t.Errorf("took %v, want %v at most", took, tt.took)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), placing(), simplePlan())
		plan := simplePlan()
		plan.Placement.Namespace = "kube-system"
		if err := r.executor.Record(t.Context(), plan, kubernetes.Verdict{}); err == nil || !strings.Contains(err.Error(), "kube-system") {
			t.Errorf("Record in a namespace that is not the runner's = %v", err)
		}
	})
}
