package kubernetes

import "sync"

// Claims are the jobs of this process: those that Run or Records began and Remove
// did not end. All executors of a process share them, so that none sweeps what
// another one works with.
type Claims struct {
	mu   sync.Mutex
	jobs map[claimed]claim
}

type claimed struct {
	runner string // short token
	job    int64
}

type claim struct {
	pods int   // made for it, or unknownPods
	term int64 // of the Lease, in which its record was known to be this process's; 0: there is none
}

// NewClaims returns no claims.
func NewClaims() *Claims { return &Claims{jobs: map[claimed]claim{}} }

// claim says that a job is this process's, and has had so many pods.
func (e *Executor) claim(id int64, pods int) {
	e.changeClaim(id, func(c *claim) { c.pods = pods })
}

// recorded says that in this term the job's record is this process's.
func (e *Executor) recorded(id, term int64) {
	e.changeClaim(id, func(c *claim) { c.term = term })
}

func (e *Executor) changeClaim(id int64, change func(*claim)) {
	e.id.Claims.mu.Lock()
	defer e.id.Claims.mu.Unlock()
	key := claimed{e.id.ShortToken, id}
	c := e.id.Claims.jobs[key]
	change(&c)
	e.id.Claims.jobs[key] = c
}

func (e *Executor) claimOf(id int64) (c claim, ok bool) {
	e.id.Claims.mu.Lock()
	defer e.id.Claims.mu.Unlock()
	c, ok = e.id.Claims.jobs[claimed{e.id.ShortToken, id}]
	return c, ok
}

func (e *Executor) isClaimed(id int64) bool {
	_, ok := e.claimOf(id)
	return ok
}

// release says that a job is this process's no longer.
func (e *Executor) release(id int64) {
	e.room.forget(id)
	e.id.Claims.mu.Lock()
	defer e.id.Claims.mu.Unlock()
	delete(e.id.Claims.jobs, claimed{e.id.ShortToken, id})
}
