package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

// address asks the store anything at all, without credentials: any answer will
// do, and says what time it is there.
func (c *checker) address(ctx context.Context) Finding {
	b := c.bucket
	scheme := "https"
	if b.config.Insecure {
		scheme = "http"
	}
	peer := "" // of the store, or of a proxy before it
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { peer = i.Conn.RemoteAddr().String() },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, scheme+"://"+b.config.address()+"/", nil)
	if err != nil {
		return failedWith(b.fail("reach", "", err))
	}
	begin := time.Now()
	resp, err := b.transport.RoundTrip(req)
	took := time.Since(begin)
	if err != nil {
		return failedWith(b.fail("reach", "", err))
	}
	defer resp.Body.Close()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// The store's clock shows whole seconds, and it was read on the way.
		c.date, c.dated = at.Add(time.Second/2).Sub(begin.Add(took/2)), true
	}
	how := "without TLS"
	if resp.TLS != nil {
		how = tls.VersionName(resp.TLS.Version)
	}
	detail := fmt.Sprintf("%s answers at %s, %s, in %d ms", b.config.address(), peer, how, took.Milliseconds())
	if b.config.Insecure {
		return warn("use https unless the network is trusted: caches and the URLs that grant access to them are readable on the way", "%s", detail)
	}
	return ok("%s", detail)
}

// The limits of a clock's deviation. S3 refuses signatures beyond the second.
const (
	skewSeen  = 5 * time.Second
	skewFatal = 15 * time.Minute
)

func (c *checker) clock(context.Context) Finding {
	const advice = "keep this machine's clock, or the store's, with NTP"
	if !c.dated {
		return warn("", "the store does not say what time it is")
	}
	off := c.date.Abs().Round(time.Second)
	direction := "behind"
	if c.date < 0 {
		direction = "ahead of"
	}
	switch {
	case off > skewFatal:
		return failed(advice, "this machine's clock is %v %s the store's; signatures are refused", off, direction)
	case off > skewSeen:
		return warn(advice, "this machine's clock is %v %s the store's", off, direction)
	}
	return ok("within %v of the store's", max(off, time.Second))
}

func (c *checker) credentials(ctx context.Context) Finding {
	list, err := c.bucket.Credentials(ctx)
	if err != nil {
		return failedWith(err)
	}
	var parts []string
	var soon time.Duration
	for _, k := range list {
		text := k.From
		if k.Uploads {
			text = "for uploads " + text
		}
		if !k.Expire.IsZero() {
			left := time.Until(k.Expire).Round(time.Second)
			text += fmt.Sprintf(", good for %v", left)
			if soon == 0 || left < soon {
				soon = left
			}
		}
		parts = append(parts, text)
	}
	detail := strings.Join(parts, "; ")
	if soon != 0 && soon < time.Hour {
		return warn("presigned URLs die with the credentials: jobs that run longer cannot save their caches. Use credentials that live longer, or static ones", "%s", detail)
	}
	return ok("%s", detail)
}

func (c *checker) exists(ctx context.Context) Finding {
	b := c.bucket
	for _, err := range b.List(ctx, c.folder) {
		if err != nil {
			return failedWith(err)
		}
		break
	}
	region := b.config.Region
	if region == "" {
		var err error
		if region, err = b.main.client.GetBucketLocation(ctx, b.config.Bucket); err != nil {
			return failedWith(b.fail("region", "", err))
		}
		region += " (asked for)"
	}
	return ok("%s, region %s", b.config.Bucket, region)
}

// conditionalPut proves that two daemons cannot overwrite each other's heads.
func (c *checker) conditionalPut(ctx context.Context) Finding {
	b := c.bucket
	const advice = `set conditional_put = "off": two jobs that save one cache at once then go by who is last`
	if !b.Conditional() {
		return warn("", "switched off: two jobs that save one cache at once go by who is last, and a presigned PUT can be used twice")
	}
	name := c.folder + "conditional"
	first, err := b.Put(ctx, name, []byte("first"), IfAbsent())
	if err != nil {
		return failedWith(err)
	}
	for _, p := range []struct {
		what string
		cond Condition
	}{
		{"If-None-Match: *", IfAbsent()},
		{"If-Match with another's ETag", IfMatch("0123456789abcdef0123456789abcdef")},
	} {
		_, err := b.Put(ctx, name, []byte("second"), p.cond)
		if err == nil {
			return failed(advice, "the store overwrote an object in spite of %s", p.what)
		}
		if !errors.Is(err, ErrConflict) {
			return failedWith(err)
		}
	}
	if _, err := b.Put(ctx, name, []byte("third"), IfMatch(first.ETag)); err != nil {
		return failedWith(err)
	}
	return ok("the store refuses to overwrite (If-None-Match, If-Match)")
}
