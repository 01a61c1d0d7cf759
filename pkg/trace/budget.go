package trace

import (
	"sync/atomic"
	"time"
)

// A Budget bounds how many touches all jobs of a daemon send together. With n
// jobs and a budget of r touches a second each job sends one every n/r seconds
// at most, so no job is better off than another. Pieces of the log and final
// updates are not counted.
type Budget struct {
	perSecond float64
	jobs      atomic.Int64
}

// NewBudget returns a budget of touches a second; 10 is a good value: up to ten
// jobs notice a cancel within about 2 s, a hundred within 10 s.
func NewBudget(perSecond float64) *Budget { return &Budget{perSecond: perSecond} }

// mostSilence keeps a job from being taken for dead, whatever the budget says.
const mostSilence = 50 * time.Second

func (b *Budget) stretch(d time.Duration) time.Duration {
	if b == nil || b.perSecond <= 0 {
		return d
	}
	share := time.Duration(float64(b.jobs.Load()) / b.perSecond * float64(time.Second))
	return max(d, min(share, mostSilence))
}

func (b *Budget) join() (leave func()) {
	if b == nil {
		return func() {}
	}
	b.jobs.Add(1)
	return func() { b.jobs.Add(-1) }
}
