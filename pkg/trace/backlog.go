package trace

import (
	"sync"
	"time"
)

// A Backlog knows what GitLab has not confirmed yet of the jobs whose traces share
// it. The zero value is ready for use, and safe for concurrent use.
type Backlog struct {
	mu     sync.Mutex
	traces map[*Trace]struct{}
}

// Unconfirmed is what GitLab has not confirmed yet.
type Unconfirmed struct {
	Results int       // jobs that have ended, without GitLab knowing how
	Oldest  time.Time // when the first of them has ended; zero when there is none
	Memory  int64     // bytes of logs in memory
	Disk    int64     // and in temporary files
}

// Unconfirmed sums up all jobs.
func (b *Backlog) Unconfirmed() Unconfirmed {
	b.mu.Lock()
	traces := make([]*Trace, 0, len(b.traces))
	for t := range b.traces {
		traces = append(traces, t)
	}
	b.mu.Unlock()
	var sum Unconfirmed
	for _, t := range traces {
		memory, disk, ended := t.unconfirmed()
		sum.Memory += memory
		sum.Disk += disk
		if ended.IsZero() {
			continue
		}
		sum.Results++
		if sum.Oldest.IsZero() || ended.Before(sum.Oldest) {
			sum.Oldest = ended
		}
	}
	return sum
}

func (b *Backlog) join(t *Trace) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.traces == nil {
		b.traces = map[*Trace]struct{}{}
	}
	b.traces[t] = struct{}{}
}

func (b *Backlog) leave(t *Trace) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.traces, t)
}

// Ends says how to learn when the job has ended, for the Backlog, before Finish
// says so; at returns the zero time while the job runs or when it is not known. It
// comes before Resume.
func (t *Trace) Ends(at func() time.Time) { t.ends = at }

// unconfirmed returns the bytes that are kept here, and when the job has ended if
// GitLab does not know.
func (t *Trace) unconfirmed() (memory, disk int64, ended time.Time) {
	t.mu.Lock()
	memory, disk = int64(len(t.pending.head)), t.pending.size-t.pending.read
	final, over := t.final, t.over
	t.mu.Unlock()
	switch {
	case over:
	case final != nil:
		ended = final.since
	case t.ends != nil:
		ended = t.ends()
	}
	return memory, disk, ended
}
