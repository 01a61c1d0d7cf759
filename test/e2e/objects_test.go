//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/runnerd/runnerd/internal/miniotest"
	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/cache/store"
)

// objects are what lies in a site's object store, to look at and to damage.
type objects struct {
	t      testing.TB
	server *miniotest.Server
	client *minio.Client
}

func open(t testing.TB, s *miniotest.Server) *objects {
	t.Helper()
	c, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return &objects{t: t, server: s, client: c}
}

func (o *objects) names(match func(string) bool) []string {
	o.t.Helper()
	var list []string
	for object := range o.client.ListObjects(context.Background(), o.server.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		if object.Err != nil {
			o.t.Fatal(object.Err)
		}
		if match(object.Key) {
			list = append(list, object.Key)
		}
	}
	return list
}

// segments are the names of all segments, in order.
func (o *objects) segments() []string {
	o.t.Helper()
	return o.names(func(name string) bool { return strings.Contains(name, "/o/") })
}

// head is the name of the only head.
func (o *objects) head() string {
	o.t.Helper()
	list := o.names(func(name string) bool { return path.Base(name) == "head" })
	if len(list) != 1 {
		o.t.Fatalf("heads: %q, want one", list)
	}
	return list[0]
}

// layers counts the folders of segments.
func (o *objects) layers() int {
	o.t.Helper()
	seen := map[string]bool{}
	for _, name := range o.segments() {
		seen[path.Dir(name)] = true
	}
	return len(seen)
}

func (o *objects) read(name string) []byte {
	o.t.Helper()
	object, err := o.client.GetObject(context.Background(), o.server.Bucket, name, minio.GetObjectOptions{})
	if err != nil {
		o.t.Fatal(err)
	}
	defer object.Close()
	b, err := io.ReadAll(object)
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

func (o *objects) write(name string, b []byte) {
	o.t.Helper()
	if _, err := o.client.PutObject(context.Background(), o.server.Bucket, name, bytes.NewReader(b), int64(len(b)), minio.PutObjectOptions{}); err != nil {
		o.t.Fatal(err)
	}
}

func (o *objects) change(name string, edit func([]byte) []byte) {
	o.t.Helper()
	o.write(name, edit(o.read(name)))
}

func (o *objects) remove(name string) {
	o.t.Helper()
	if err := o.client.RemoveObject(context.Background(), o.server.Bucket, name, minio.RemoveObjectOptions{}); err != nil {
		o.t.Fatal(err)
	}
}

// sweptTo sweeps as the daemon will in ten days, and checks how many layers are
// left then.
func (o *objects) sweptTo(want int) {
	o.t.Helper()
	ctx := context.Background()
	bucket, err := store.Open(store.Config{
		Address: o.server.Endpoint, Bucket: o.server.Bucket, Region: "us-east-1", Insecure: true,
		AccessKey: o.server.AccessKey, SecretKey: o.server.SecretKey,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	defer bucket.Close()
	c, err := cache.New(bucket, cache.Config{SharedStore: true})
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := c.Sweep(ctx, cache.SweepOptions{Now: time.Now().Add(10 * 24 * time.Hour)}); err != nil {
		o.t.Fatal(err)
	}
	if got := o.layers(); got != want {
		o.t.Errorf("after a sweep %d layers are left, want %d: %q", got, want, o.segments())
	}
}
