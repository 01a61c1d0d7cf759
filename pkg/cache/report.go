package cache

import (
	"context"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// A report is what a pod says that it has uploaded.
type report struct {
	at       candidate
	upload   *job.CacheUpload
	hit      *found // what the pod has restored; nil for nothing
	saved    job.CacheSaved
	segments []job.CacheSegment
	excess   bool // there were more of them
	job      int64
	ref      string
}

// layer checks what can be known of a report by itself, and makes a layer of it.
func (r report) layer() (Layer, error) {
	l := Layer{ID: r.upload.Layer, Raw: r.saved.Raw, Entries: r.saved.Entries}
	switch {
	case r.excess:
		return l, refuse(job.CodeTooLarge, "it has more segments than the %d that are possible", len(r.upload.URLs))
	case len(r.segments) == 0:
		return l, refuse(job.CodeInternal, "its report names no segments")
	}
	var total int64
	for n, s := range r.segments {
		if s.Bytes <= 0 || s.Bytes > maxSegmentSize || !isHex(s.SHA256, sumLength) {
			return l, refuse(job.CodeInternal, "its report makes no sense: segment %d has %d bytes and the SHA-256 %.80q", n, s.Bytes, s.SHA256)
		}
		total += s.Bytes
		l.Segments = append(l.Segments, Segment{Bytes: s.Bytes, SHA256: s.SHA256})
	}
	if total > r.upload.MaxBytes {
		return l, refuse(job.CodeTooLarge, "it has %d bytes; %d are possible", total, r.upload.MaxBytes)
	}
	if r.saved.Result != job.SaveDelta {
		return l, nil
	}
	l.Whiteouts = r.saved.Whiteouts
	if r.hit == nil || r.hit.at.fallback || r.hit.head.Base.ID != r.saved.Base {
		return l, refuse(job.CodeInternal, "its report makes no sense: it changes layer %.40q, which the job has not restored", r.saved.Base)
	}
	return l, nil
}

// verify checks that the store has exactly the segments of l, and returns when
// the first of them was stored; the zero time if the store does not say.
func (c *Cache) verify(ctx context.Context, f folder, l Layer) (time.Time, error) {
	var first time.Time
	n := 0
	for object, err := range c.bucket.List(ctx, f.layer(l.ID)) {
		switch {
		case err != nil:
			return first, err
		case n == len(l.Segments):
			return first, refuse(job.CodeInternal, "more was uploaded than its %d segments", n)
		case object.Name != f.segment(l.ID, n):
			return first, refuse(job.CodeCorrupt, "segment %d is not in the store", n)
		case object.Bytes != l.Segments[n].Bytes:
			return first, refuse(job.CodeCorrupt, "segment %d has %d bytes in the store, not %d", n, object.Bytes, l.Segments[n].Bytes)
		}
		if first.IsZero() || object.Modified.Before(first) {
			first = object.Modified
		}
		n++
	}
	if n < len(l.Segments) {
		return first, refuse(job.CodeCorrupt, "segment %d is not in the store", n)
	}
	return first, nil
}
