package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
)

const (
	lastLines       = 20       // of a service that has ended, for the job's log
	maxLastLines    = 16 << 10 // bytes of those
	serviceRetry    = time.Second
	serviceFarewell = 10 * time.Second // for what the services' logs still hold when the job is over
)

var errFarewell = fmt.Errorf("not within %v of the job's end", serviceFarewell)

// services follow what a job's services print and how they end. They only read:
// nothing of it can change the job's result.
type services struct {
	attempt *attempt
	to      executor.Services
	over    context.Context // ends when the job is over
	isOver  context.CancelFunc
	stop    context.CancelCauseFunc
	group   sync.WaitGroup
}

// watchServices starts what end ends; nil when there is nothing to watch.
func (a *attempt) watchServices(ctx context.Context, to executor.Services) *services {
	if to == nil || len(a.plan.Services) == 0 {
		return nil
	}
	s := &services{attempt: a, to: to}
	ctx, s.stop = context.WithCancelCause(ctx)
	s.over, s.isOver = context.WithCancel(ctx)
	for n, container := range serviceNames(a.plan) {
		s.group.Go(func() { s.watchEnd(ctx, n, container) })
		if a.plan.DebugServices {
			s.group.Go(func() { s.follow(ctx, n, container) })
		}
	}
	return s
}

// end lets the services' last lines through and returns when nothing is written
// any more. A failed job waits for a status of a time behind its script's end: the
// kubelet looks at its containers once a second, and a script fails at once when its
// database dies.
func (s *services) end(ctx context.Context, failed bool) {
	if s == nil {
		return
	}
	if failed {
		s.attempt.view.await(ctx, statusPatience, func(state podState) bool {
			return state.terminated(containerBuild) != nil || state.over() || state.takenAway()
		})
	}
	s.isOver()
	late := time.AfterFunc(serviceFarewell, func() { s.stop(errFarewell) })
	defer late.Stop()
	s.group.Wait()
	s.stop(nil)
}

// watchEnd tells when a service ends of itself before the job's pod goes.
func (s *services) watchEnd(ctx context.Context, n int, container string) {
	for over := false; ; {
		state, changed := s.attempt.view.get()
		switch t := state.terminated(container); {
		case state.takenAway(), leaving(ctx):
			return
		case t != nil:
			s.tellEnd(ctx, n, container, t)
			return
		case over:
			return
		}
		select {
		case <-s.over.Done():
			over = true // what has been told until now still counts
		case <-changed:
		}
	}
}

func (s *services) tellEnd(ctx context.Context, n int, container string, t *corev1.ContainerStateTerminated) {
	plan := s.attempt.plan
	text := fmt.Sprintf("service %s (image %s) has ended while the job runs: %s", container, describe(plan.Services[n].Image), ending(t))
	if t.ExitCode == 0 || plan.DebugServices {
		s.to.Warning(n, text) // nothing went wrong, or its lines are there already
		return
	}
	lines, most := int64(lastLines), int64(maxLastLines)
	var last []string
	err := s.read(ctx, &corev1.PodLogOptions{Container: container, TailLines: &lines, LimitBytes: &most}, func(line string) { last = append(last, line) })
	switch {
	case err != nil && leaving(ctx):
		return
	case len(last) > 0:
		text += "; its last lines:"
	case err != nil:
		text += fmt.Sprintf("; its last lines cannot be read: %v", cause(ctx, err))
	default:
		text += "; it has printed nothing"
	}
	s.to.Warning(n, text, last...)
}

// follow passes on what a service prints, until the job is over, through as many
// connections as it takes.
func (s *services) follow(ctx context.Context, n int, container string) {
	last := s.to.Since(n) // time of the last line, as the cluster writes it
	take := func(line string) {
		at, text, ok := strings.Cut(line, " ")
		if !ok || at <= last {
			return
		}
		last = at
		s.to.Print(n, at, text)
	}
	options := func(follow bool) *corev1.PodLogOptions {
		o := &corev1.PodLogOptions{Container: container, Follow: follow, Timestamps: true}
		if at, err := time.Parse(time.RFC3339Nano, last); err == nil {
			o.SinceTime = &metav1.Time{Time: at}
		}
		return o
	}
	for s.over.Err() == nil {
		_ = s.read(s.over, options(true), take) // it is tried again, or for the last time below
		if state, _ := s.attempt.view.get(); state.terminated(container) != nil {
			break
		}
		pause := time.NewTimer(serviceRetry)
		select {
		case <-s.over.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	if err := s.read(ctx, options(false), take); err != nil && !leaving(ctx) {
		s.to.Warning(n, fmt.Sprintf("the end of what service %s has printed cannot be read: %v", container, cause(ctx, err)))
	}
}

// leaving reports whether this process lets go of the job: what is to tell of its
// services is the next one's to tell, if anybody wants to hear it.
func leaving(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errFarewell)
}

// cause is err, or why ctx has ended if that is the reason for it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
