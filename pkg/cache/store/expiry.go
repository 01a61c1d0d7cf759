package store

import "context"

// EnsureExpiry makes the bucket expire objects whose names begin with prefix
// days after they were written, and reports whether it had to change anything.
// Versions that are no longer current go a day after, and what is left of a
// broken multipart upload as well. Rules of others stay as they are.
//
// It reads the rules back: a store that takes a rule and forgets it is
// ErrUnsupported, as is one that knows no rules. ErrDenied means that the
// credentials may not see or set rules.
func (b *Bucket) EnsureExpiry(ctx context.Context, prefix string, days int) (changed bool, err error) {
	have, err := b.lifecycle(ctx)
	if err != nil {
		return false, err
	}
	if have.days(prefix) == days {
		return false, nil
	}
	if err := b.setLifecycle(ctx, have.with(prefix, days)); err != nil {
		return false, err
	}
	have, err = b.lifecycle(ctx)
	switch {
	case err != nil:
		return true, err
	case have.days(prefix) != days:
		return true, &Error{Op: "lifecycle", Bucket: b.config.Bucket, Name: prefix, kind: ErrUnsupported, Message: "the store took the rule, and does not have it now"}
	}
	return true, nil
}

// Expiry returns the days after which the bucket expires objects below prefix
// by the rule that EnsureExpiry sets; 0 means that there is no such rule.
func (b *Bucket) Expiry(ctx context.Context, prefix string) (days int, err error) {
	have, err := b.lifecycle(ctx)
	if err != nil {
		return 0, err
	}
	return have.days(prefix), nil
}
