package conformance

import (
	"fmt"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// keptUntil is the annotation of a pod that is kept.
const keptUntil = "runnerd.io/keep-until"

var kept = []Row{
	{
		Name: "kept-after-failure", Spec: "15", Site: "keeping", On: ClusterOnly,
		Behaviour: "With keep_failed_pods a failed job's pod stays for that long; behind the failure the log says how to look into it.",
		Job:       script("exit 3"),
		Want: Want{
			State: standin.Failed, Exit: 3, Check: keptForAWhile,
			Says: []string{"ERROR: Job failed: command terminated with exit code 3\nThe job's pod is kept until ", " -c build -- sh"},
		},
	},
	{
		Name: "kept-not-after-success", Spec: "15", Site: "keeping", On: ClusterOnly,
		Behaviour: "The pod of a job that succeeded goes at once.",
		Job:       script("true"),
		Want:      Want{Lacks: []string{"is kept until"}, Check: notKept},
	},
	{
		Name: "kept-not-after-cancel", Spec: "15", Site: "keeping", On: ClusterOnly, CancelAt: "working",
		Behaviour: "So does that of a job that was cancelled.",
		Job:       script("echo working; sleep 300"),
		Want:      Want{State: standin.Canceled, Lacks: []string{"is kept until"}, Check: notKept},
	},
	{
		Name: "kept-not-asked-for", Spec: "15", On: ClusterOnly,
		Behaviour: "Without keep_failed_pods a failed job's pod goes at once.",
		Job:       script("exit 3"),
		Want:      Want{State: standin.Failed, Exit: 3, Lacks: []string{"is kept until"}, Check: notKept},
	},
}

// keptForAWhile waits until the job's pod is gone, which must not be too soon.
func keptForAWhile(w *World, j *standin.Job) error {
	pod, err := w.Gone(j)
	if err != nil {
		return err
	}
	until, err := time.Parse(time.RFC3339, pod.Annotations[keptUntil])
	if err != nil {
		return fmt.Errorf("the pod does not say until when it is kept: %w", err)
	}
	if pod.Ended.Before(until) {
		return fmt.Errorf("the pod was gone at %v, and kept until %v", pod.Ended, until)
	}
	return nil
}

func notKept(w *World, j *standin.Job) error {
	pod, err := w.Gone(j)
	if err == nil && pod.Annotations[keptUntil] != "" {
		err = fmt.Errorf("the pod was kept until %s", pod.Annotations[keptUntil])
	}
	return err
}
