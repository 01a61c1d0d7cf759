package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// An Object is what the store knows of one.
type Object struct {
	Name     string
	Bytes    int64
	Modified time.Time // by the store's clock; zero after a Put
	ETag     string    // without quotes; compare it, and read nothing into it
}

// A Condition has to hold for a Put. The zero Condition always does.
type Condition struct {
	absent bool
	etag   string
}

// IfAbsent holds while there is no object of the name.
func IfAbsent() Condition { return Condition{absent: true} }

// IfMatch holds while the object is the one that etag is of.
func IfMatch(etag string) Condition { return Condition{etag: etag} }

// Get returns an object of at most maxBytes. It returns ErrNotFound if there
// is none, and ErrTooLarge without reading one that is larger.
func (b *Bucket) Get(ctx context.Context, name string, maxBytes int64) ([]byte, Object, error) {
	a, err := b.client(ctx, b.main, 0)
	if err != nil {
		return nil, Object{}, err
	}
	body, info, _, err := a.client.GetObject(ctx, b.config.Bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return nil, Object{}, b.fail("get", name, err)
	}
	defer body.Close()
	if info.Size > maxBytes {
		return nil, Object{}, &Error{Op: "get", Bucket: b.config.Bucket, Name: name, kind: ErrTooLarge, Message: fmt.Sprintf("it has %d bytes, and no more than %d are read", info.Size, maxBytes)}
	}
	data := make([]byte, info.Size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, Object{}, b.fail("get", name, err)
	}
	return data, object(name, info), nil
}

// Put writes an object. It returns ErrConflict if cond does not hold: another
// has written it since, or removed it. Where [Bucket.Conditional] is false,
// cond is left out.
//
// A try whose answer was lost is repeated, so a conflict can also mean that
// this very Put has been done: read the object to know.
func (b *Bucket) Put(ctx context.Context, name string, data []byte, cond Condition) (Object, error) {
	a, err := b.client(ctx, b.main, 0)
	if err != nil {
		return Object{}, err
	}
	headers := b.config.uploadHeaders()
	if b.Conditional() {
		cond.set(headers)
	}
	sum := sha256.Sum256(data)
	info, err := a.client.PutObject(ctx, b.config.Bucket, name, bytes.NewReader(data), int64(len(data)), "", hex.EncodeToString(sum[:]),
		minio.PutObjectOptions{ServerSideEncryption: putHeaders(headers)})
	if err != nil {
		return Object{}, b.failPut(name, cond, err)
	}
	return Object{Name: name, Bytes: int64(len(data)), ETag: info.ETag}, nil
}

func (c Condition) set(h http.Header) {
	switch {
	case c.absent:
		h.Set(headerIfNoneMatch, "*")
	case c.etag != "":
		h.Set(headerIfMatch, `"`+c.etag+`"`)
	}
}

const (
	headerIfNoneMatch = "If-None-Match"
	headerIfMatch     = "If-Match"
)

// failPut knows that If-Match on an object that is gone is "not found" to the store.
func (b *Bucket) failPut(name string, cond Condition, err error) error {
	failed := b.fail("put", name, err)
	e, ok := errors.AsType[*Error](failed)
	if !ok || cond == (Condition{}) {
		return failed
	}
	if errors.Is(e, ErrNotFound) {
		e.kind = ErrConflict
	}
	if errors.Is(e, ErrUnsupported) {
		e.Advice = `the store takes no conditional writes: set conditional_put = "off"`
	}
	return e
}

// putHeaders are the headers of a PUT. minio-go lets only an encryption set
// them as they are.
type putHeaders http.Header

// Type is the kind of encryption that needs nothing of a reader.
func (p putHeaders) Type() encrypt.Type { return encrypt.S3 }

// Marshal adds the headers to h.
func (p putHeaders) Marshal(h http.Header) {
	for name, values := range p {
		h[name] = values
	}
}

func object(name string, info minio.ObjectInfo) Object {
	return Object{Name: name, Bytes: info.Size, Modified: info.LastModified, ETag: info.ETag}
}
