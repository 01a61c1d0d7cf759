package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// The slow road: what one connection to a store gives across a network.
const (
	bandwidth = 50e6 // bytes a second and connection, each way
	latency   = 10 * time.Millisecond
)

// A road is a TCP proxy with the bandwidth and latency of a network.
type road struct {
	to       string
	listener net.Listener
	traffic  sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool
	closed   bool
}

func openRoad(ctx context.Context, to string) (*road, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &road{to: to, listener: l, open: map[net.Conn]bool{}}
	r.traffic.Go(func() { r.accept(ctx) })
	return r, nil
}

func (r *road) address() string { return r.listener.Addr().String() }

func (r *road) close() {
	r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	r.traffic.Wait()
}

func (r *road) accept(ctx context.Context) {
	var dialer net.Dialer
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return
		}
		far, err := dialer.DialContext(ctx, "tcp", r.to)
		if err != nil {
			near.Close()
			continue
		}
		if !r.keep(near, far) {
			return
		}
		r.traffic.Go(func() { r.carry(far, near) })
		r.traffic.Go(func() { r.carry(near, far) })
	}
}

func (r *road) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.closed {
			c.Close()
		}
		r.open[c] = true
	}
	return !r.closed
}

// slack is how much of its time an idle road can make up for: the sleeps here
// are longer than they should be.
const slack = 5 * time.Millisecond

// A load is a piece on its way.
type load struct {
	piece   *[64 << 10]byte
	bytes   int
	arrives time.Time
}

// carry takes bytes from one end to the other. Half of the latency is on each
// way. A piece leaves when the one before has passed.
func (r *road) carry(to, from net.Conn) {
	loads := make(chan load, 16)
	pieces := sync.Pool{New: func() any { return new([64 << 10]byte) }}
	r.traffic.Go(func() {
		defer close(loads)
		free := time.Now()
		for {
			piece := pieces.Get().(*[64 << 10]byte)
			n, err := from.Read(piece[:])
			if n > 0 {
				if earliest := time.Now().Add(-slack); free.Before(earliest) {
					free = earliest
				}
				free = free.Add(time.Duration(float64(n) / bandwidth * float64(time.Second)))
				time.Sleep(time.Until(free))
				loads <- load{piece, n, free.Add(latency / 2)}
			}
			if err != nil {
				return
			}
		}
	})
	broken := false
	for l := range loads {
		time.Sleep(time.Until(l.arrives))
		if !broken {
			_, err := to.Write(l.piece[:l.bytes])
			broken = err != nil
		}
		pieces.Put(l.piece)
	}
	to.Close()
	from.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, to)
	delete(r.open, from)
}
