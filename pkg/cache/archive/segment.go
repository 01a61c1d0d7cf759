package archive

import "context"

// A Segment is one piece of a layer as it is stored.
type Segment struct {
	Bytes int64
	Sum   [32]byte // SHA-256
}

// A Sink stores the segments of one layer.
type Sink interface {
	// Put stores segment n and returns when the store has it. It is called from
	// several goroutines, in no order; body is the caller's again afterwards.
	Put(ctx context.Context, n int, body []byte, sum [32]byte) error
}

// A Source has the segments of one layer.
type Source interface {
	// Get fills into, which has the segment's size, with segment n. It is called
	// from several goroutines. It need not check the bytes: the caller does.
	Get(ctx context.Context, n int, into []byte) error
}
