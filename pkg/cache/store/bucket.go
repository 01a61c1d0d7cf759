package store

import (
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// tries of one request, for the network's or the server's sake.
const tries = 3

// A Bucket is one bucket. It is safe for concurrent use.
type Bucket struct {
	config    Config
	transport *http.Transport
	main      *access // everything
	upload    *access // presigned PUTs; the same as main without UploadRoleARN
}

// An access is a client and the credentials it signs with.
type access struct {
	keys   *keyring
	client *minio.Core
}

// Open checks c and prepares a Bucket. It sends no request: whether the bucket
// is there, and the credentials are good, the first operation tells. Close
// what is no longer needed.
func Open(c Config) (*Bucket, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("cache bucket: %w", err)
	}
	t, err := transport(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("cache bucket: %w", err)
	}
	b := &Bucket{config: c, transport: t}
	base := newKeyring(b.ambientOrStatic())
	limit := assumeLimit(c.AssumeConcurrency)

	if b.main, err = b.access(b.role(base, c.RoleARN, limit)); err != nil {
		return nil, fmt.Errorf("cache bucket: %w", err)
	}
	b.upload = b.main
	if c.UploadRoleARN != "" {
		if b.upload, err = b.access(b.role(base, c.UploadRoleARN, limit)); err != nil {
			return nil, fmt.Errorf("cache bucket: %w", err)
		}
	}
	return b, nil
}

// access returns a client that signs with keys.
func (b *Bucket) access(keys *keyring) (*access, error) {
	c := b.config
	core, err := minio.NewCore(c.address(), &minio.Options{
		Creds:        credentials.New(keys.provider()),
		Secure:       !c.Insecure,
		Transport:    b.transport,
		Region:       c.Region,
		BucketLookup: map[PathStyle]minio.BucketLookupType{PathAuto: minio.BucketLookupAuto, PathAlways: minio.BucketLookupPath, VirtualHost: minio.BucketLookupDNS}[c.PathStyle],
		MaxRetries:   tries,
	})
	if err != nil {
		return nil, err
	}
	core.SetAppInfo("runnerd", "cache")
	core.SetS3EnableDualstack(c.DualStack)
	if c.Accelerate {
		core.SetS3TransferAccelerate(accelerated(c.DualStack))
	}
	return &access{keys: keys, client: core}, nil
}

func accelerated(dualStack bool) string {
	if dualStack {
		return "s3-accelerate.dualstack.amazonaws.com"
	}
	return "s3-accelerate.amazonaws.com"
}

// Close gives the connections back. No operation may be under way.
func (b *Bucket) Close() { b.transport.CloseIdleConnections() }

// Name is the bucket's.
func (b *Bucket) Name() string { return b.config.Bucket }

// Conditional reports whether conditions of a Put are sent, and presigned PUTs
// are good for one write only.
func (b *Bucket) Conditional() bool { return b.config.conditional() }
