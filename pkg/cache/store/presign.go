package store

import (
	"context"
	"net/http"
	"time"
)

// MaxLife is the longest that a presigned URL may be good for.
const MaxLife = 7 * 24 * time.Hour

// PresignGet returns a URL that whoever holds it can read the object with, for
// life (1 s to MaxLife) and not longer than [Bucket.CredentialsExpire]. It is a
// secret.
func (b *Bucket) PresignGet(ctx context.Context, name string, life time.Duration) (string, error) {
	return b.presign(ctx, b.main, http.MethodGet, name, life, nil)
}

// PresignPut returns a URL that whoever holds it can write the object with,
// once where [Bucket.Conditional] is true; for life as with PresignGet. All of
// UploadHeaders are part of the signature and have to be sent as they are. The
// URL is a secret.
func (b *Bucket) PresignPut(ctx context.Context, name string, life time.Duration) (string, error) {
	return b.presign(ctx, b.upload, http.MethodPut, name, life, b.presignedHeaders())
}

// UploadHeaders are to be sent with each presigned PUT, exactly; nothing in
// them is a secret.
func (b *Bucket) UploadHeaders() map[string]string {
	flat := make(map[string]string)
	for name, values := range b.presignedHeaders() {
		flat[name] = values[0]
	}
	return flat
}

func (b *Bucket) presignedHeaders() http.Header {
	h := b.config.uploadHeaders()
	if b.Conditional() {
		IfAbsent().set(h)
	}
	return h
}

func (b *Bucket) presign(ctx context.Context, a *access, method, name string, life time.Duration, h http.Header) (string, error) {
	a, err := b.client(ctx, a, life)
	if err != nil {
		return "", err
	}
	u, err := a.client.PresignHeader(ctx, method, b.config.Bucket, name, life, nil, h)
	if err != nil {
		return "", b.fail("presign", name, err)
	}
	return u.String(), nil
}
