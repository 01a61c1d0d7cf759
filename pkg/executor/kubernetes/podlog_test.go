package kubernetes_test

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/frame"
	"github.com/runnerd/runnerd/pkg/job"
)

// podLog is a log file on a node, and the kubelet that serves it.
type podLog struct {
	mu      sync.Mutex
	opened  bool
	ended   bool
	stuck   bool  // streams of an older epoch wait instead
	lost    bool  // its node is: streams stay open
	away    error // what is answered in the kubelet's place
	dead    bool  // they wait even when the container has ended
	frames  [][]byte
	times   []time.Time
	next    frame.Frame
	epoch   int // streams of an older epoch are broken
	sinces  []*metav1.Time
	changed chan struct{}
}

func (l *podLog) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *podLog) open() { l.change(func() { l.opened = true }) }

// asked returns how many streams were opened.
func (l *podLog) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sinces)
}

// end is the end of the container.
func (l *podLog) end() { l.change(func() { l.ended = true }) }

// cut breaks all streams that are open.
func (l *podLog) cut() { l.change(func() { l.epoch++ }) }

// rotate loses the file's content. Streams that are open break, or wait at the
// old file's end for ever.
func (l *podLog) rotate(stuck bool) {
	l.change(func() { l.frames, l.times, l.stuck = nil, nil, stuck; l.epoch++ })
}

// stall leaves all streams that are open without an answer for ever. The file stays.
func (l *podLog) stall() { l.change(func() { l.stuck, l.dead = true, true; l.epoch++ }) }

func (l *podLog) write(text string) { l.frame(frame.Log, []byte(text)) }

func (l *podLog) event(e job.Event) {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	l.frame(frame.Event, text)
}

// result writes the last event; the log's length is filled in.
func (l *podLog) result(o job.Outcome) {
	l.event(job.Event{Result: &job.Result{Outcome: o, LogBytes: l.next.Offset}})
	l.end()
}

func (l *podLog) frame(kind frame.Kind, payload []byte) {
	f := l.next
	f.Kind, f.Payload, f.Time = kind, payload, time.Now()
	l.again(frame.Append(nil, f))
	l.next.Seq++
	if kind == frame.Log {
		l.next.Offset += int64(len(payload))
	}
}

// losing returns the frames that write writes, which the file does not get.
func (l *podLog) losing(write func()) (lost [][]byte) {
	l.mu.Lock()
	frames, times := l.frames, l.times
	l.frames, l.times = nil, nil
	l.epoch++ // the streams that are open have seen what there was
	l.mu.Unlock()
	write()
	l.change(func() { lost, l.frames, l.times = l.frames, frames, times })
	return lost
}

// again appends a line as it is.
func (l *podLog) again(line []byte) {
	l.change(func() {
		l.frames = append(l.frames, line)
		l.times = append(l.times, time.Now())
	})
}

func (l *podLog) stream(ctx context.Context, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away != nil {
		return nil, l.away
	}
	if !l.opened {
		return nil, apierrors.NewBadRequest(`container "helper" is waiting to start: ContainerCreating`)
	}
	l.sinces = append(l.sinces, options.SinceTime)
	s := &logStream{ctx: ctx, log: l, epoch: l.epoch}
	if options.SinceTime != nil {
		since := options.SinceTime.Truncate(time.Second) // as the query parameter does
		for s.at < len(l.times) && l.times[s.at].Before(since) {
			s.at++
		}
	}
	return s, nil
}

type logStream struct {
	ctx   context.Context
	log   *podLog
	epoch int
	at    int
	rest  []byte
}

func (s *logStream) Close() error { return nil }

func (s *logStream) Read(p []byte) (int, error) {
	for {
		if len(s.rest) > 0 {
			n := copy(p, s.rest)
			s.rest = s.rest[n:]
			return n, nil
		}
		s.log.mu.Lock()
		changed, ended := s.log.changed, s.log.ended
		old := s.epoch != s.log.epoch
		broken, dead := old && !s.log.stuck, old && s.log.dead
		if !old && s.at < len(s.log.frames) {
			s.rest = s.log.frames[s.at]
			s.at++
		}
		s.log.mu.Unlock()
		switch {
		case broken:
			return 0, io.ErrUnexpectedEOF
		case len(s.rest) > 0:
			continue
		case ended && !dead:
			return 0, io.EOF
		}
		select {
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		case <-changed:
		}
	}
}
