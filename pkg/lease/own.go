package lease

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// labelManager is on every Lease of runnerd, with the system ID of its manager.
const labelManager = "runnerd.io/manager"

// own is the Lease of this process as it was last seen.
type own struct {
	lease  *coordinationv1.Lease
	held   bool // by this process, when it was last written or read
	rival  string
	heard  sighting // of a rival that holds it
	warned bool
}

// holder names a process: its place, and what no other process has.
func holder(place string) string {
	return fmt.Sprintf("%s#%d-%s", place, os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

func placeOf(holder string) string {
	place, _, _ := strings.Cut(holder, "#")
	return place
}

// name is the Lease's. A system ID knows upper and lower case, a name does not.
func name(manager string) string {
	sum := sha256.Sum256([]byte(manager))
	return "runnerd-" + hex.EncodeToString(sum[:8])
}

// renew takes the Lease, or shows that it is still held. When it cannot, the Lease
// runs out by itself.
func (k *Keeper) renew(ctx context.Context) {
	start := time.Now()
	won, err := k.write(ctx, start)
	if moved(err) { // look at once who has it
		won, err = k.write(ctx, start)
	}
	switch {
	case err == nil && won:
		k.own.warned = false
	case apierrors.IsForbidden(err) && !k.own.held:
		if k.goAlone() {
			k.o.Log.Warn("runnerd may not have Leases: jobs of a dead replica are not taken over, and two runnerds with one system ID are not told apart. "+
				"Its Role needs the verbs get, list, create, update and delete for leases (coordination.k8s.io)", zap.Error(err))
		}
	case err != nil && !k.own.warned && ctx.Err() == nil:
		k.own.warned = true
		k.o.Log.Warn("Lease not renewed; trying again", zap.String("lease", name(k.o.Manager)), zap.Error(err))
	}
}

// write makes one try. won is false while another process has the Lease.
func (k *Keeper) write(ctx context.Context, start time.Time) (won bool, err error) {
	leases := k.o.API.Leases(k.o.Namespace)
	if k.own.lease == nil {
		found, err := leases.Get(ctx, name(k.o.Manager), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			made, err := leases.Create(ctx, k.fresh(start), metav1.CreateOptions{})
			return k.written(made, err, start, true)
		case err != nil:
			return false, err
		}
		k.own.lease = found
	}
	mine := k.own.lease
	was := deref(mine.Spec.HolderIdentity)
	switch {
	case was == k.holder:
	case was != "" && placeOf(was) != k.o.Place && !k.outlived(was, mine.ResourceVersion):
		k.own.lease = nil // look again
		return false, nil
	}
	next := mine.DeepCopy()
	fresh := k.fresh(start)
	next.Labels, next.Annotations = fresh.Labels, fresh.Annotations
	next.Spec = k.spec(start)
	next.Spec.LeaseTransitions = mine.Spec.LeaseTransitions
	if was != k.holder {
		next.Spec.LeaseTransitions = more(mine.Spec.LeaseTransitions)
	}
	made, err := leases.Update(ctx, next, metav1.UpdateOptions{})
	return k.written(made, err, start, was != k.holder)
}

// moved reports whether a write was refused because the Lease is not what it was:
// somebody else has written, or an earlier write of this process whose answer got
// lost.
func moved(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// written takes the answer to a write.
func (k *Keeper) written(made *coordinationv1.Lease, err error, start time.Time, again bool) (bool, error) {
	if moved(err) {
		k.own.lease = nil
		return false, err
	}
	if err != nil {
		return false, err
	}
	if again && k.own.held {
		k.o.Log.Warn("others took this runnerd for dead; looking which jobs are still its own", zap.String("lease", made.Name))
	}
	k.own.lease, k.own.held, k.own.rival = made, true, ""
	k.hold(start, again)
	return true, nil
}

// outlived reports whether the process that holds the Lease has shown no sign of
// life for as long as a Lease lasts.
func (k *Keeper) outlived(rival, version string) bool {
	if k.own.rival != rival {
		k.own.rival = rival
		k.o.Log.Warn("another runnerd holds this one's Lease; waiting whether it lives. If it does, give each a .runner_system_id of its own",
			zap.String("system_id", k.o.Manager), zap.String("holder", rival))
	}
	return k.own.heard.quiet(version, time.Now()) >= Duration
}

// release gives the Lease up, if it is held. It reads it first: a renewal that was
// under way when this process was stopped may have been carried out.
func (k *Keeper) release(ctx context.Context) {
	if k.isAlone() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return k.giveUp(ctx) }); err != nil {
		k.o.Log.Warn("Lease not given up; others wait until it has run out", zap.String("lease", name(k.o.Manager)), zap.Error(err))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = time.Time{}
}

// giveUp makes one try.
func (k *Keeper) giveUp(ctx context.Context) error {
	leases := k.o.API.Leases(k.o.Namespace)
	mine, err := leases.Get(ctx, name(k.o.Manager), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case deref(mine.Spec.HolderIdentity) != k.holder:
		return nil
	}
	mine.Spec.HolderIdentity = nil
	_, err = leases.Update(ctx, mine, metav1.UpdateOptions{})
	return err
}

func (k *Keeper) fresh(now time.Time) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name(k.o.Manager), Namespace: k.o.Namespace, Labels: map[string]string{labelManager: k.o.Manager}},
		Spec:       k.spec(now),
	}
	if k.o.Jobs != nil {
		lease.Annotations = map[string]string{annotationJobs: strconv.Itoa(k.o.Jobs())}
	}
	return lease
}

func (k *Keeper) spec(now time.Time) coordinationv1.LeaseSpec {
	at, seconds := metav1.NewMicroTime(now), int32(Duration/time.Second)
	return coordinationv1.LeaseSpec{HolderIdentity: &k.holder, LeaseDurationSeconds: &seconds, RenewTime: &at}
}

func more(n *int32) *int32 {
	next := deref(n) + 1
	return &next
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
