package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

// A failure is what one try ended with.
type failure struct {
	code   Code
	retry  bool
	status int
	s3code string
	err    error
}

// repeat calls try until it succeeds, fails for good, or the pauses are used
// up. try gets its number, from 0, and a function to call whenever bytes have
// moved. If ctx ends, so does repeat, with its cause.
func (c *Client) repeat(ctx context.Context, op string, segment int, try func(ctx context.Context, n int, moved func()) *failure) error {
	for n := 0; ; n++ {
		f := c.watched(ctx, func(ctx context.Context, moved func()) *failure { return try(ctx, n, moved) })
		switch {
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !f.retry || n == len(c.pauses):
			return &Error{Op: op, Segment: segment, Code: f.code, Status: f.status, S3Code: f.s3code, Tries: n + 1, Err: f.err}
		}
		if err := pause(ctx, c.pauses[n]); err != nil {
			return err
		}
	}
}

// watched ends try when no byte moves for too long.
func (c *Client) watched(ctx context.Context, try func(ctx context.Context, moved func()) *failure) *failure {
	stalled := fmt.Errorf("no byte moved for %v", c.stall)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(c.stall, func() { cancel(stalled) })
	defer watchdog.Stop()

	f := try(ctx, func() { watchdog.Reset(c.stall) })
	if f != nil && errors.Is(context.Cause(ctx), stalled) {
		return &failure{code: Network, retry: true, err: stalled}
	}
	return f
}

// pause waits about d.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(time.Duration(float64(d) * (0.75 + rand.Float64()/2)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// broken makes an error of net/http a failure, without the URL that net/http
// puts into it.
func broken(err error) *failure {
	var withURL *url.Error
	for errors.As(err, &withURL) {
		err = withURL.Err
	}
	if clean(err.Error(), 1) == "" {
		err = errors.New("the connection fails") // what broke it quotes the URL
	}
	var untrusted *tls.CertificateVerificationError
	return &failure{code: Network, retry: !errors.As(err, &untrusted), err: err}
}

var errNoURL = errors.New("the URL cannot be used")
