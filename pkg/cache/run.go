package cache

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

// Run sweeps the caches every Config.SweepEvery, a little more or less, until
// ctx ends. The first time is soon: after a 24th to a 144th of that, so that a
// daemon that is often restarted sweeps as well, and many do not do so at once.
func (c *Cache) Run(ctx context.Context) {
	wait := between(c.SweepEvery/144, c.SweepEvery/24)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		c.sweepOnce(ctx)
		wait = between(c.SweepEvery-c.SweepEvery/10, c.SweepEvery+c.SweepEvery/10)
	}
}

func (c *Cache) sweepOnce(ctx context.Context) {
	began := time.Now()
	result, err := c.Sweep(ctx, SweepOptions{})
	log := c.Log.With(zap.String("prefix", c.root(0)), zap.Int("keys", result.Keys), zap.Int("objects_deleted", result.Objects),
		zap.Int64("bytes_deleted", result.Bytes), zap.Duration("took", time.Since(began)))
	switch {
	case ctx.Err() != nil: // the process ends
	case err != nil:
		c.meter.failed(opSweep, codeOf(err))
		log.Warn("caches not wholly swept", zap.Error(err))
	default:
		log.Info("caches swept")
	}
}

// between is a random time from low up to high.
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low)
}
