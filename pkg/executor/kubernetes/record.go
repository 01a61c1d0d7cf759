package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Verdict is what policy has said of a job.
type Verdict struct {
	Denied  bool
	Audit   bool   // a denied job runs nevertheless
	Rule    string // that decided; "" for none
	Message string // for people; an Event holds 1024 bytes of it
}

// What Events say of themselves.
const (
	eventComponent  = "runnerd"
	eventController = "runnerd.io/runnerd"
	annotationRule  = "runnerd.io/rule"

	maxEventMessage = 1024
	recordTimeout   = 10 * time.Second
)

// Record writes v into the cluster, as an Event about the job's pod in the
// pod's namespace. The pod need not exist: that of a denied job never does. To
// record the same twice is to record it once.
//
// It takes at most ten seconds. An error is for the operator's log; the job goes
// on as if there were none.
func (e *Executor) Record(ctx context.Context, plan *job.Plan, v Verdict) error {
	if err := e.checkNamespace(plan); err != nil {
		return fmt.Errorf("record verdict: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, recordTimeout, fmt.Errorf("no answer within %v", recordTimeout))
	defer cancel()
	event := e.event(plan, v, time.Now())
	what := fmt.Sprintf("create Event %q in namespace %q", event.Name, event.Namespace)
	err := retry(ctx, recordTimeout, func(error) {}, func() error {
		_, err := e.client.API.CoreV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil // of an earlier try whose answer got lost
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: runnerd may not; its Role needs the verb create for events: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// event is v as the cluster keeps it. Its name follows from what it says.
func (e *Executor) event(plan *job.Plan, v Verdict, at time.Time) *corev1.Event {
	pod, namespace := podName(e.id, plan, 0), e.namespace(plan)
	reason, kind := v.reason()
	sum := sha256.Sum256([]byte(reason + "\x00" + v.Rule + "\x00" + v.Message))
	annotations := jobAnnotations(plan)
	if v.Rule != "" {
		annotations[annotationRule] = v.Rule
	}
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod + "." + hex.EncodeToString(sum[:8]), Namespace: namespace,
			Labels: e.ownLabels(plan), Annotations: annotations,
		},
		InvolvedObject:      corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: pod},
		Reason:              reason,
		Type:                kind,
		Message:             cut(v.Message, maxEventMessage),
		Source:              corev1.EventSource{Component: eventComponent},
		FirstTimestamp:      metav1.NewTime(at),
		LastTimestamp:       metav1.NewTime(at),
		Count:               1,
		ReportingController: eventController,
		ReportingInstance:   e.id.SystemID,
	}
}

func (v Verdict) reason() (reason, kind string) {
	switch {
	case v.Denied && v.Audit:
		return "JobWouldBeDenied", corev1.EventTypeWarning
	case v.Denied:
		return "JobDenied", corev1.EventTypeWarning
	}
	return "JobAllowed", corev1.EventTypeNormal
}

// cut returns as much of s, whole characters only, as fits into limit bytes.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
