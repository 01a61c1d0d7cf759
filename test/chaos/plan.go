// Package chaos says what is to go wrong, and when: a plan of jobs and faults
// that follows from a seed alone. test/e2e carries it out.
//
// A fault's moment is a line of a job's log that has reached GitLab, and not a
// time, so that a run with the same seed has the same faults in the same order
// at the same places, on a fast machine as on a slow one.
package chaos

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// A Plan is what happens in one run.
type Plan struct {
	Seed     uint64
	Replicas int
	Jobs     []Job
	Faults   []Fault // in the order in which they happen
}

// A Kind says what a fault does.
type Kind string

// The kinds of faults.
const (
	Kill      Kind = "replica killed"
	KillAll   Kind = "all replicas killed"
	LetGo     Kind = "replica ended (SIGTERM)"
	Freeze    Kind = "replica frozen"
	Lose      Kind = "replica killed until others have its jobs"
	APIServer Kind = "API server restarted"
	Kubelet   Kind = "kubelet restarted"
	Etcd      Kind = "etcd restarted"
	Runtime   Kind = "containerd restarted"
	KillBlind Kind = "replica killed, API server away"
	PodBefore Kind = "pod deleted before its script"
	PodAmid   Kind = "pod deleted in mid-script"
	Errors    Kind = "GitLab answers 5xx"
	Throttle  Kind = "GitLab answers 429"
	Reset     Kind = "GitLab resets connections"
	Hang      Kind = "GitLab hangs"
	Lost      Kind = "GitLab's answers are lost"
)

// A Fault is one thing that goes wrong.
type Fault struct {
	Kind Kind
	// Its moment: line Line of job Job has reached GitLab, or a later one where the job
	// is beyond that; of the next job, where that one is over, or nearly. A pod that is
	// deleted is that of the job.
	Job, Line int
	After     time.Duration // from that moment on
	Replica   int           // which one is meant
	For       time.Duration // how long a replica is away or frozen
	Brutal    bool          // a component of the cluster is killed rather than asked to end
	GitLab    []standin.Fault
}

// spacing is how many jobs there are for each fault, about.
const spacing = 4

// New returns the plan of a seed. Every kind of fault comes once before one comes
// again, as far as there are enough jobs.
func New(seed uint64, jobs, replicas int) Plan {
	r := rand.New(rand.NewPCG(seed, uint64(jobs)))
	p := Plan{Seed: seed, Replicas: replicas}
	count := max(jobs/spacing, len(kinds(replicas)))
	for n := range jobs {
		j := newJob(r, n)
		if !j.Long() {
			j.Batches = j.Batches * count * spacing / jobs // few jobs have to last for as many faults
		}
		p.Jobs = append(p.Jobs, j)
	}
	for n, kind := range deal(r, kinds(replicas), count) {
		f := newFault(r, kind, replicas)
		f.Job = n * jobs / count
		f.Line = 1 + r.IntN(max(1, p.Jobs[f.Job].Lines()/2))
		p.Faults = append(p.Faults, f)
	}
	return p
}

func kinds(replicas int) []Kind {
	all := []Kind{
		Kill, LetGo, Freeze, KillAll, Lose, APIServer, Kubelet, Etcd, Runtime, KillBlind,
		PodBefore, PodAmid, Errors, Throttle, Reset, Hang, Lost,
	}
	if replicas > 1 {
		return all
	}
	return slices.DeleteFunc(all, func(k Kind) bool { return k == KillAll || k == Lose })
}

// deal deals count cards of a deck that is shuffled anew each time it is used up.
func deal(r *rand.Rand, deck []Kind, count int) []Kind {
	var cards []Kind
	for len(cards) < count {
		r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		cards = append(cards, deck...)
	}
	return cards[:count]
}

func newFault(r *rand.Rand, kind Kind, replicas int) Fault {
	f := Fault{
		Kind: kind, After: between(r, 0, 1500*time.Millisecond), Replica: r.IntN(replicas),
		For: between(r, 0, 3*time.Second), Brutal: r.IntN(2) == 0,
	}
	switch kind {
	case Freeze:
		f.For = between(r, time.Second, 6*time.Second)
	case Errors:
		status := []int{500, 502, 503, 504}[r.IntN(4)]
		f.GitLab = everywhere(r, standin.Fault{Status: status, Body: "<html>GitLab is not responding</html>"})
	case Throttle:
		f.GitLab = everywhere(r, standin.Fault{Status: 429, RetryAfter: time.Duration(1+r.IntN(3)) * time.Second})
	case Reset:
		f.GitLab = everywhere(r, standin.Fault{Reset: true})
	case Hang:
		f.GitLab = everywhere(r, standin.Fault{Delay: between(r, 2*time.Second, 10*time.Second)})
	case Lost:
		// Not those that bring a job: GitLab then takes it for taken, and no runner
		// can know of it.
		f.GitLab = everywhere(r, standin.Fault{LoseAnswer: true})[:2]
	}
	return f
}

// everywhere is a fault that hits some of the requests of each kind.
func everywhere(r *rand.Rand, f standin.Fault) []standin.Fault {
	var faults []standin.Fault
	for _, e := range []standin.Endpoint{standin.PatchTrace, standin.UpdateJob, standin.RequestJob} {
		f.Endpoint, f.Times = e, 1+r.IntN(12)
		if e == standin.RequestJob {
			f.Times = 1 + r.IntN(2) // there are few
		}
		faults = append(faults, f)
	}
	return faults
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Int64N(int64(most-least)))).Truncate(10 * time.Millisecond)
}
