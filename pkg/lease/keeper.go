package lease

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// Duration is how long after its last renewal a Lease runs out.
const Duration = 15 * time.Second

const (
	// renewEvery is how often the own Lease is renewed and the others are looked at.
	renewEvery = 4 * time.Second
	// validFor is how long a renewal is good for. What is left to Duration is for
	// a request that was on its way when the time was over.
	validFor = 10 * time.Second
	// forgetAfter is how long the Lease of a dead daemon stays.
	forgetAfter = 10 * time.Minute
	// releaseTimeout bounds the last request.
	releaseTimeout = 3 * time.Second
)

// Options say whose Lease it is and where. All are needed.
type Options struct {
	API       coordination.LeasesGetter
	Namespace string
	Manager   string // system ID of the runner manager
	Log       *zap.Logger

	// Jobs returns how many jobs this process has; nil: nobody wants to know.
	Jobs func() int

	// Place names where this process runs. Of two processes of one place and one
	// manager the earlier is dead: the caller vouches for it.
	Place string
}

// A Keeper keeps a Lease. Its methods are safe for concurrent use. A nil *Keeper
// always holds, and knows no others.
type Keeper struct {
	o      Options
	holder string // this process
	own    own    // belongs to the goroutine of Run
	others others

	mu      sync.Mutex
	since   time.Time // when the Lease was first held
	until   time.Time // when the Lease cannot be counted on any more
	term    int64     // 0: never held
	alone   bool      // there can be no Leases
	changed chan struct{}
}

// New returns a keeper. It starts nothing; see [Keeper.Run].
func New(o Options) *Keeper {
	return &Keeper{o: o, holder: holder(o.Place), others: newOthers(), changed: make(chan struct{})}
}

// Run takes the Lease, renews it, and looks at those of others, until ctx ends;
// then it gives the Lease up, so that nobody has to wait until it has run out.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		k.round(ctx)
		select {
		case <-ctx.Done():
			k.release(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		}
	}
}

// round is one renewal and one look.
func (k *Keeper) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, renewEvery)
	defer cancel()
	k.renew(ctx)
	if !k.isAlone() {
		k.look(ctx)
	}
}

// Held waits until the Lease is held and returns its term: as long as that stays
// the same, nobody has taken this process for dead. Its error is the cause of ctx.
func (k *Keeper) Held(ctx context.Context) (term int64, err error) {
	if k == nil {
		return 1, nil
	}
	for {
		k.mu.Lock()
		term, changed := k.term, k.changed
		held := k.alone || time.Now().Before(k.until)
		k.mu.Unlock()
		if held {
			return term, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// While returns a context that ends with ctx, with the returned call, or when the
// Lease has run out.
func (k *Keeper) While(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if k == nil {
		return ctx, cancel
	}
	var watch func()
	watch = func() {
		k.mu.Lock()
		left := time.Until(k.until)
		if k.alone {
			left = validFor
		}
		k.mu.Unlock()
		if left <= 0 {
			cancel()
			return
		}
		timer := time.AfterFunc(left, watch)
		context.AfterFunc(ctx, func() { timer.Stop() })
	}
	watch()
	return ctx, cancel
}

// Holds reports whether the Lease is held. It does not block.
func (k *Keeper) Holds() bool {
	if k == nil {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alone || time.Now().Before(k.until)
}

// hold notes that the Lease is held since a moment; again says that it was lost
// before, or that this is the first time.
func (k *Keeper) hold(since time.Time, again bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if again {
		k.term++
	}
	k.alone = false
	if k.since.IsZero() {
		k.since = since
	}
	k.until = since.Add(validFor)
	close(k.changed)
	k.changed = make(chan struct{})
}

// goAlone does without a Lease until there is one, and reports whether it did not
// do so before.
func (k *Keeper) goAlone() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.alone {
		return false
	}
	k.alone, k.term = true, k.term+1
	close(k.changed)
	k.changed = make(chan struct{})
	return true
}

func (k *Keeper) isAlone() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alone
}
