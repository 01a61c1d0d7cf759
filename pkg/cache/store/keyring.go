package store

import (
	"context"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// keys are credentials and where they are from.
type keys struct {
	credentials.Value
	from  string        // for people
	fresh time.Duration // look again after this time; 0 means when they are about to expire, if they ever do
}

// A source gets credentials that are to be good for need, or for as long as it can.
type source func(ctx context.Context, need time.Duration) (keys, error)

// A keyring holds the credentials of one source and renews them in time.
//
// minio-go has providers and a cache of its own. It asks them without the
// caller's context, goes on without credentials when it finds none, and cannot
// be told that a URL has to live for hours.
type keyring struct {
	source source

	turn    chan struct{} // one at a time, and a wait for it ends with a context
	held    keys
	fetched time.Time
	renew   time.Time // zero: never

	hand handout
}

func newKeyring(s source) *keyring {
	return &keyring{source: s, turn: make(chan struct{}, 1)}
}

const (
	renewAt   = 0.8         // of the time that credentials are good for
	renewGap  = time.Minute // between two attempts
	lastSpare = time.Minute // credentials with less than this left are no use
)

// get returns credentials that are good for need where the source can give such.
func (k *keyring) get(ctx context.Context, need time.Duration) (keys, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return keys{}, ctx.Err()
	}
	now := time.Now()
	if !k.stale(now, need) {
		return k.held, nil
	}
	got, err := k.source(ctx, need)
	switch {
	case err != nil && k.usable(now):
		k.renew = now.Add(renewGap)
		return k.held, nil
	case err != nil:
		return keys{}, err
	}
	k.held, k.fetched, k.renew = got, now, renewal(got, now)
	k.hand.set(got.Value)
	return got, nil
}

// stale reports whether to ask the source.
func (k *keyring) stale(now time.Time, need time.Duration) bool {
	switch {
	case k.fetched.IsZero():
		return true
	case !k.renew.IsZero() && !now.Before(k.renew):
		return true
	case k.held.Expiration.IsZero() || now.Sub(k.fetched) < renewGap:
		return false
	}
	return k.held.Expiration.Sub(now) < need
}

func (k *keyring) usable(now time.Time) bool {
	return !k.fetched.IsZero() && (k.held.Expiration.IsZero() || k.held.Expiration.Sub(now) > lastSpare)
}

func renewal(got keys, now time.Time) time.Time {
	var at time.Time
	if got.fresh > 0 {
		at = now.Add(got.fresh)
	}
	if !got.Expiration.IsZero() {
		early := now.Add(time.Duration(float64(got.Expiration.Sub(now)) * renewAt))
		if at.IsZero() || early.Before(at) {
			at = early
		}
	}
	return at
}

// provider hands what get returned last to minio-go.
func (k *keyring) provider() credentials.Provider { return &k.hand }

// A handout is a provider that never asks anybody.
type handout struct {
	mu      sync.Mutex
	value   credentials.Value
	changed bool
}

func (h *handout) set(v credentials.Value) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.value, h.changed = v, true
}

// RetrieveWithCredContext returns the credentials in hand.
func (h *handout) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed = false
	return h.value, nil
}

// Retrieve is RetrieveWithCredContext by its former name.
func (h *handout) Retrieve() (credentials.Value, error) { return h.RetrieveWithCredContext(nil) }

// IsExpired reports whether there are other credentials since Retrieve.
func (h *handout) IsExpired() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}
