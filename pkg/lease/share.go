package lease

import (
	"slices"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// annotationJobs is on a Lease: how many jobs its manager has.
const annotationJobs = "runnerd.io/jobs"

// settleFor is how long a manager that has died is still counted: until then its
// jobs have been adopted, and are counted where they are.
const settleFor = 2 * Duration

// A member is another manager, as its Lease tells.
type member struct {
	jobs  int
	alive time.Time // when it was last seen alive
}

func jobsOf(lease *coordinationv1.Lease) int {
	n, err := strconv.Atoi(lease.Annotations[annotationJobs])
	if err != nil {
		return 0
	}
	return n
}

// Share returns how many of total jobs this process may have, when all replicas
// together may have so many: an equal part, and less while others have more than
// theirs. It is 0 while others may not know of this process yet, or this one not of
// them. Where there are no Leases it is total.
func (k *Keeper) Share(total int) int {
	if k == nil || k.isAlone() {
		return total
	}
	now := time.Now()
	k.mu.Lock()
	known := !k.since.IsZero() && now.Sub(k.since) >= Duration && now.Before(k.until)
	k.mu.Unlock()
	k.others.mu.Lock()
	defer k.others.mu.Unlock()
	if !known || now.Sub(k.others.looked) >= validFor {
		return 0
	}
	managers := []string{k.o.Manager}
	for manager, m := range k.others.members {
		if now.Sub(m.alive) < settleFor {
			managers = append(managers, manager)
		}
	}
	slices.Sort(managers)
	own, taken := 0, 0
	for rank, manager := range managers {
		part := total / len(managers)
		if rank < total%len(managers) {
			part++
		}
		if manager == k.o.Manager {
			own = part
			continue
		}
		taken += max(part, k.others.members[manager].jobs)
	}
	return min(own, max(total-taken, 0))
}
