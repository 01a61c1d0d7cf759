package lease

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A sighting is a version of a Lease, and since when it has been there.
type sighting struct {
	version string
	since   time.Time
}

// quiet takes a look and returns for how long nothing has changed.
func (s *sighting) quiet(version string, now time.Time) time.Duration {
	if s.version != version || s.since.IsZero() {
		*s = sighting{version: version, since: now}
	}
	return now.Sub(s.since)
}

// others are the Leases of the other daemons.
type others struct {
	seen map[string]*sighting // by manager; belongs to the goroutine of Run

	mu      sync.Mutex
	looked  time.Time            // when all Leases were last listed
	alive   map[string]bool      // managers with a Lease that has not run out
	dead    map[string]bool      // managers whose Lease has been taken away, or given up
	asked   map[string]time.Time // managers without a Lease, since when
	members map[string]member    // managers that are alive, or were a moment ago
}

func newOthers() others {
	return others{seen: map[string]*sighting{}, alive: map[string]bool{}, dead: map[string]bool{}, asked: map[string]time.Time{}, members: map[string]member{}}
}

// Alive returns how many daemons live, this one included, as far as it has seen.
func (k *Keeper) Alive() int {
	if k == nil {
		return 1
	}
	k.others.mu.Lock()
	defer k.others.mu.Unlock()
	return len(k.others.alive) + 1
}

// DeadOnes returns the managers that Dead reports, as far as they are known.
func (k *Keeper) DeadOnes() []string {
	if k == nil || !k.Holds() || k.isAlone() {
		return nil
	}
	o := &k.others
	o.mu.Lock()
	defer o.mu.Unlock()
	var managers []string
	for manager := range o.dead {
		managers = append(managers, manager)
	}
	for manager, since := range o.asked {
		if o.looked.Sub(since) >= Duration {
			managers = append(managers, manager)
		}
	}
	slices.Sort(managers)
	return managers
}

// Dead reports whether a manager is known to be dead: it has given its Lease up, or
// that has run out and was taken away. One that has no Lease is dead when it has
// had none for as long as a Lease lasts, since Dead was first asked about it.
func (k *Keeper) Dead(manager string) bool {
	if k == nil || manager == k.o.Manager || !k.Holds() || k.isAlone() {
		return false
	}
	o := &k.others
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead[manager] || o.alive[manager] {
		delete(o.asked, manager)
		return o.dead[manager]
	}
	if o.asked[manager].IsZero() {
		o.asked[manager] = time.Now()
	}
	return o.looked.Sub(o.asked[manager]) >= Duration
}

// StillDead asks the cluster whether a manager that Dead reports has not come back.
func (k *Keeper) StillDead(ctx context.Context, manager string) bool {
	found, err := k.o.API.Leases(k.o.Namespace).Get(ctx, name(manager), metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && deref(found.Spec.HolderIdentity) == ""
}

// look lists the Leases, takes those away that have run out, and deletes those that
// nobody has held for long.
func (k *Keeper) look(ctx context.Context) {
	asked := time.Now()
	list, err := k.o.API.Leases(k.o.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labelManager})
	if err != nil {
		if ctx.Err() == nil && !apierrors.IsForbidden(err) {
			k.o.Log.Debug("Leases not listed", zap.Error(err))
		}
		return
	}
	now := time.Now()
	alive, dead, seen := map[string]bool{}, map[string]bool{}, map[string]*sighting{}
	for i := range list.Items {
		lease := &list.Items[i]
		manager := lease.Labels[labelManager]
		if lease.Name == name(k.o.Manager) {
			continue
		}
		s := k.others.seen[manager]
		if s == nil {
			s = &sighting{}
		}
		seen[manager] = s
		quiet := s.quiet(lease.ResourceVersion, now)
		switch {
		case deref(lease.Spec.HolderIdentity) == "":
			dead[manager] = true
			if quiet > forgetAfter {
				k.forget(ctx, lease)
			}
		case quiet >= lifetime(lease) && k.takeAway(ctx, lease):
			dead[manager] = true
		default:
			alive[manager] = true
		}
	}
	k.others.mu.Lock()
	defer k.others.mu.Unlock()
	for i := range list.Items {
		if manager := list.Items[i].Labels[labelManager]; alive[manager] {
			k.others.members[manager] = member{jobs: jobsOf(&list.Items[i]), alive: now}
		}
	}
	maps.DeleteFunc(k.others.members, func(_ string, m member) bool { return now.Sub(m.alive) >= settleFor })
	k.others.seen, k.others.looked, k.others.alive, k.others.dead = seen, asked, alive, dead
}

// lifetime is how long a Lease is good for; a later version may choose another
// time.
func lifetime(lease *coordinationv1.Lease) time.Duration {
	return max(Duration, time.Duration(deref(lease.Spec.LeaseDurationSeconds))*time.Second)
}

// takeAway ends another daemon's term, unless it has just renewed its Lease.
func (k *Keeper) takeAway(ctx context.Context, lease *coordinationv1.Lease) bool {
	next := lease.DeepCopy()
	next.Spec.HolderIdentity = nil
	next.Spec.LeaseTransitions = more(lease.Spec.LeaseTransitions)
	if _, err := k.o.API.Leases(k.o.Namespace).Update(ctx, next, metav1.UpdateOptions{}); err != nil {
		k.o.Log.Debug("Lease not taken away", zap.String("lease", lease.Name), zap.Error(err))
		return false
	}
	k.o.Log.Warn("another runnerd is dead: its Lease has run out",
		zap.String("system_id", lease.Labels[labelManager]), zap.String("holder", deref(lease.Spec.HolderIdentity)))
	return true
}

// forget deletes the Lease of a daemon that is long dead.
func (k *Keeper) forget(ctx context.Context, lease *coordinationv1.Lease) {
	version := lease.ResourceVersion
	err := k.o.API.Leases(k.o.Namespace).Delete(ctx, lease.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &version}})
	if err != nil && !apierrors.IsNotFound(err) {
		k.o.Log.Debug("old Lease not deleted", zap.String("lease", lease.Name), zap.Error(err))
	}
}
