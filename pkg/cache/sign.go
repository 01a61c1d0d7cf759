package cache

import (
	"context"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// hit makes what a job needs to restore a cache.
func (c *Cache) hit(ctx context.Context, f found) (*job.CacheHit, error) {
	h := &job.CacheHit{
		Key: f.at.key, Fallback: f.at.fallback, Renew: f.renew,
		Job: f.head.Job, Ref: f.head.Ref, Saved: f.head.Created,
	}
	base, err := c.signedLayer(ctx, f.at.place, f.head.Base)
	if err != nil {
		return nil, err
	}
	h.Base = base
	if f.head.Delta == nil {
		return h, nil
	}
	delta, err := c.signedLayer(ctx, f.at.place, *f.head.Delta)
	h.Delta = &delta
	return h, err
}

func (c *Cache) signedLayer(ctx context.Context, p place, l Layer) (job.CacheLayer, error) {
	out := job.CacheLayer{ID: l.ID, Raw: l.Raw, Entries: l.Entries, Segments: make([]job.CacheSegment, len(l.Segments))}
	f := c.folder(p)
	for n, s := range l.Segments {
		url, err := c.bucket.PresignGet(ctx, f.segment(l.ID, n), c.restoreLife())
		if err != nil {
			return out, err
		}
		out.Segments[n] = job.CacheSegment{Bytes: s.Bytes, SHA256: s.SHA256, URL: url}
	}
	return out, nil
}

// maxRecord is how much of a segment may stay empty, because the layer's next
// record does not fit: 4 MiB that do not compress, and a header.
const maxRecord = 4<<20 + 1<<18

// segmentsFor is how many segments a layer of so many bytes may need.
func segmentsFor(bytes int64) int {
	n := 1 // the last one may hold next to nothing
	for room := int64(0); room < bytes && n < maxSegments; n++ {
		room += job.SegmentBytes(n-1) - maxRecord
	}
	return n
}

// upload makes the place of a new layer of at most so many segments. limit is the
// job's own of the layer's bytes; 0 is none.
//
// There are URLs for a layer as large as it may get, whatever the last one was:
// a cache that has outgrown an estimate could never be saved again.
func (c *Cache) upload(ctx context.Context, p place, limit int64, most int, timeout time.Duration) (*job.CacheUpload, error) {
	u := &job.CacheUpload{Layer: newLayerID(c.now()), Headers: c.bucket.UploadHeaders(), MaxBytes: c.MaxBytes}
	if limit > 0 {
		u.MaxBytes = min(u.MaxBytes, limit)
	}
	u.URLs = make([]string, min(segmentsFor(u.MaxBytes), most))
	f := c.folder(p)
	for n := range u.URLs {
		url, err := c.bucket.PresignPut(ctx, f.segment(u.Layer, n), saveLife(timeout))
		if err != nil {
			return nil, err
		}
		u.URLs[n] = url
	}
	return u, nil
}
