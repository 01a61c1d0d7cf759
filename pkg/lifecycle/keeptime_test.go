package lifecycle

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/trace"
)

// away is a GitLab that does not answer.
type away struct{}

var errAway = errors.New("no answer")

func (away) UpdateJob(context.Context, job.Credentials, job.Update) (job.Answer, error) {
	return job.Answer{}, errAway
}

func (away) PatchTrace(context.Context, job.Credentials, int64, []byte, bool) (job.Answer, error) {
	return job.Answer{}, errAway
}

// TestTimeWaitsForGitLab: a job whose log is not read on because GitLab is behind may
// have ended within its time.
func TestTimeWaitsForGitLab(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := trace.New(trace.Options{API: away{}, BufferBytes: 1, SpillBytes: -1})
		running, stop := context.WithCancel(t.Context())
		go func() { _ = tr.Run(running) }()
		go func() { _, _ = tr.Write([]byte("more than there is room for")) }()
		ctx, end := context.WithCancelCause(t.Context())
		defer end(nil)
		a := &attempt{trace: tr, job: &job.Job{Timeout: time.Minute}, received: time.Now()}
		go a.keepTime(ctx, time.NewTimer(time.Until(a.deadline())), end)
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatalf("the job was ended: %v", context.Cause(ctx))
		}
		stop()
		synctest.Wait()
		unblocked := time.Now()
		<-ctx.Done()
		if d := time.Since(unblocked); d != deadlineSlack || !errors.Is(context.Cause(ctx), errDeadline) {
			t.Errorf("the job was ended after %v, want %v: %v", d, deadlineSlack, context.Cause(ctx))
		}
	})
}
