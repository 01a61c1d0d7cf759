package store

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

// probeData is what the probes write and read back.
var probeData = []byte("runnerd cache check\n")

const probeLife = 5 * time.Minute

func (c *checker) put(ctx context.Context) Finding {
	name := c.folder + "plain"
	if _, err := c.bucket.Put(ctx, name, probeData, Condition{}); err != nil {
		return failedWith(err)
	}
	got, _, err := c.bucket.Get(ctx, name, int64(len(probeData)))
	if err != nil {
		return failedWith(err)
	}
	if !bytes.Equal(got, probeData) {
		return failed("take what changes the bytes out of the way: a proxy?", "read %d bytes that are not those that were written", len(got))
	}
	return ok("wrote and read %d bytes", len(got))
}

// presignedPut does what a pod does: it has a URL and headers, nothing else.
func (c *checker) presignedPut(ctx context.Context) Finding {
	b := c.bucket
	name := c.presigned()
	url, err := b.PresignPut(ctx, name, probeLife)
	if err != nil {
		return failedWith(err)
	}
	headers := b.UploadHeaders()
	if len(headers) > 0 {
		status, _, _, err := c.send(ctx, http.MethodPut, url, nil, probeData)
		if err != nil {
			return failedWith(err)
		}
		if status/100 == 2 {
			return failed("do not use this store for protected branches: whoever has a job's URL can write it as he likes", "the store took an upload without the headers that were signed")
		}
	}
	if f := c.expect(ctx, http.MethodPut, url, headers, probeData, http.StatusOK); f != nil {
		return *f
	}
	if !b.Conditional() {
		return ok("an upload by URL works")
	}
	status, _, _, err := c.send(ctx, http.MethodPut, url, headers, probeData)
	if err != nil {
		return failedWith(err)
	}
	if status != http.StatusPreconditionFailed {
		return failed(`set conditional_put = "off"`, "a second upload to the same URL was answered with %d, not 412", status)
	}
	return ok("an upload by URL works, once, and not without its headers")
}

func (c *checker) presigned() string { return c.folder + "presigned" }

func (c *checker) presignedGet(ctx context.Context) Finding {
	url, err := c.bucket.PresignGet(ctx, c.presigned(), probeLife)
	if err != nil {
		return failedWith(err)
	}
	status, body, _, err := c.send(ctx, http.MethodGet, url, nil, nil)
	switch {
	case err != nil:
		return failedWith(err)
	case status != http.StatusOK:
		return failedWith(c.bucket.fail("get", c.presigned(), refusal(status, body)))
	case !bytes.Equal(body, probeData):
		return failed("take what changes the bytes out of the way: a proxy?", "a download by URL brought other bytes than were uploaded")
	}
	return ok("a download by URL works")
}

func (c *checker) rangedRead(ctx context.Context) Finding {
	url, err := c.bucket.PresignGet(ctx, c.presigned(), probeLife)
	if err != nil {
		return failedWith(err)
	}
	const from, to = 3, 8
	status, body, _, err := c.send(ctx, http.MethodGet, url, map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", from, to)}, nil)
	switch {
	case err != nil:
		return failedWith(err)
	case status != http.StatusPartialContent || !bytes.Equal(body, probeData[from:to+1]):
		return warn("caches work without; a broken download begins again from the start of its segment", "asked for %d bytes of an object, the store answered %d with %d bytes", to-from+1, status, len(body))
	}
	return ok("a part of an object can be read")
}

// encryption looks whether the store did what was asked for.
func (c *checker) encryption(ctx context.Context) Finding {
	url, err := c.bucket.PresignGet(ctx, c.presigned(), probeLife)
	if err != nil {
		return failedWith(err)
	}
	_, _, header, err := c.send(ctx, http.MethodGet, url, nil, nil)
	if err != nil {
		return failedWith(err)
	}
	want := c.bucket.config.uploadHeaders().Get(headerEncryption)
	if got := header.Get(headerEncryption); got != want {
		return warn("check ServerSideEncryption, and whether the store offers it", "asked for %s, the object says %q", want, got)
	}
	return ok("objects are encrypted by the store: %s", want)
}

func (c *checker) list(ctx context.Context) Finding {
	found := 0
	for _, err := range c.bucket.List(ctx, c.folder) {
		if err != nil {
			return failedWith(err)
		}
		found++
	}
	if found == 0 {
		return failed("caches cannot be published or swept with such a store", "a listing does not show what was just written")
	}
	return ok("the %d objects of this check are listed", found)
}

func (c *checker) delete(ctx context.Context) Finding {
	var names []string
	for o, err := range c.bucket.List(ctx, c.folder) {
		if err != nil {
			return failedWith(err)
		}
		names = append(names, o.Name)
	}
	if err := c.bucket.Delete(ctx, names...); err != nil {
		return failedWith(err)
	}
	for o, err := range c.bucket.List(ctx, c.folder) {
		if err != nil {
			return failedWith(err)
		}
		return failed("", "%s is still there after it was deleted", o.Name)
	}
	return ok("deleted what this check wrote")
}

// expect sends a request and returns a finding unless the answer is status.
func (c *checker) expect(ctx context.Context, method, url string, headers map[string]string, data []byte, status int) *Finding {
	got, body, _, err := c.send(ctx, method, url, headers, data)
	if err == nil && got != status {
		err = c.bucket.fail("put", c.presigned(), refusal(got, body))
	}
	if err != nil {
		f := failedWith(err)
		return &f
	}
	return nil
}

func (c *checker) send(ctx context.Context, method, url string, headers map[string]string, data []byte) (int, []byte, http.Header, error) {
	h := make(http.Header)
	for name, value := range headers {
		h.Set(name, value)
	}
	status, body, header, err := c.bucket.send(ctx, method, url, h, data)
	return status, body, header, c.bucket.fail("presigned "+method, c.presigned(), err)
}
