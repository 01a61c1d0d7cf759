package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// A Verdict is the result of one probe.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn" // caches work, but not as well or as safely as they could
	Fail Verdict = "FAIL" // caches do not work
)

// A Finding is what one probe of [Check] found out.
type Finding struct {
	Probe   string  `json:"probe"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`           // what was seen
	Advice  string  `json:"advice,omitempty"` // what to do, unless the verdict is OK
}

// CheckOptions say what the bucket is to be used for.
type CheckOptions struct {
	Prefix string // of the objects that probes write; they are deleted again
	Expire string // prefix of the objects that are to expire
	Days   int    // after which they do; 0 means never
}

// probeTimeout bounds one probe, cleanupTimeout the deletion of what they wrote.
const (
	probeTimeout   = 30 * time.Second
	cleanupTimeout = 30 * time.Second
)

// Check proves that a bucket can hold caches: everything that daemon and pods do
// with it is done once, with small objects. It yields each finding as it is
// made, and stops after one that leaves the rest no chance. What it wrote is
// deleted in every case; the bucket's rules are looked at, not changed.
func Check(ctx context.Context, b *Bucket, o CheckOptions) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		c := &checker{bucket: b, options: o, folder: o.Prefix + "check/" + strings.ToLower(rand.Text()) + "/"}
		defer c.cleanUp(ctx)
		for _, p := range c.probes() {
			probing, cancel := context.WithTimeout(ctx, probeTimeout)
			f := p.run(probing)
			cancel()
			f.Probe = p.name
			if !yield(f) || f.Verdict == Fail && p.vital || ctx.Err() != nil {
				return
			}
		}
	}
}

// A checker goes through the probes. Those behind can use what those before
// them wrote.
type checker struct {
	bucket  *Bucket
	options CheckOptions
	folder  string // of all that it writes
	date    time.Duration
	dated   bool // the store says what time it is; date is how far it is ahead
}

type probe struct {
	name  string
	vital bool // without it the next ones cannot succeed
	run   func(context.Context) Finding
}

func (c *checker) probes() []probe {
	list := []probe{
		{"address", true, c.address},
		{"clock", false, c.clock},
		{"credentials", true, c.credentials},
		{"bucket", true, c.exists},
		{"put", true, c.put},
		{"conditional put", false, c.conditionalPut},
		{"presigned put", false, c.presignedPut},
		{"presigned get", false, c.presignedGet},
		{"ranged read", false, c.rangedRead},
	}
	if c.bucket.config.Encryption != EncryptNone {
		list = append(list, probe{"encryption", false, c.encryption})
	}
	return append(list, probe{"list", false, c.list}, probe{"delete", false, c.delete}, probe{"lifecycle", false, c.lifecycle})
}

func ok(format string, args ...any) Finding {
	return Finding{Verdict: OK, Detail: fmt.Sprintf(format, args...)}
}

func warn(advice, format string, args ...any) Finding {
	return Finding{Verdict: Warn, Detail: fmt.Sprintf(format, args...), Advice: advice}
}

func failed(advice, format string, args ...any) Finding {
	return Finding{Verdict: Fail, Detail: fmt.Sprintf(format, args...), Advice: advice}
}

// failedWith takes an error's advice out of its text.
func failedWith(err error) Finding {
	if e, ours := errors.AsType[*Error](err); ours {
		plain := *e
		plain.Advice = ""
		return failed(e.Advice, "%s", plain.Error())
	}
	return failed("", "%v", err)
}

// cleanUp deletes what is left, also when the check was interrupted.
func (c *checker) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	for o, err := range c.bucket.List(ctx, c.folder) {
		if err != nil || c.bucket.Delete(ctx, o.Name) != nil {
			return // the probes have said so
		}
	}
}

// lifecycle looks at the rule without setting it: that is the daemon's.
func (c *checker) lifecycle(ctx context.Context) Finding {
	days, err := c.bucket.Expiry(ctx, c.options.Expire)
	switch {
	case c.options.Days == 0 && (err != nil || days == 0):
		return ok("not asked for: there is no lifetime in [runners.cache]")
	case err != nil:
		return warn(`allow it, or take lifetime out and set such a rule by hand`, "the bucket's rules cannot be seen: %s", failedWith(err).Detail)
	case c.options.Days == 0:
		return warn("take the rule away if caches are to stay for ever", "objects below %q expire after %d days by a rule of runnerd's, and there is no lifetime in [runners.cache]", c.options.Expire, days)
	case days == 0:
		return warn("the daemon sets the rule when it starts; its log says so if it may not", "no rule lets objects below %q expire after %d days", c.options.Expire, c.options.Days)
	case days != c.options.Days:
		return warn("the daemon corrects the rule when it starts", "objects below %q expire after %d days, not %d", c.options.Expire, days, c.options.Days)
	}
	return ok("objects below %q expire after %d days", c.options.Expire, days)
}
