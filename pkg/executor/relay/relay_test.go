package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/runnerd/runnerd/pkg/executor/relay"
	"github.com/runnerd/runnerd/pkg/frame"
	"github.com/runnerd/runnerd/pkg/job"
)

// lines makes the frames of a small job, one a line: log, event, log, log, result.
func lines(t *testing.T) (frames [][]byte, log string) {
	t.Helper()
	texts := []string{"first\n", "", "second\\\r\n", "third, and a frame of its own: R1 9 9 9 E {}\n", ""}
	for i, text := range texts {
		f := frame.Frame{
			Seq: int64(i), Offset: int64(len(log)), Time: time.UnixMicro(1_000_000 * int64(i+1)),
			Kind: frame.Log, Payload: []byte(text),
		}
		log += text
		switch i {
		case 1:
			f.Kind, f.Payload = frame.Event, event(t, job.Event{Phase: &job.PhaseEvent{Name: "get_sources"}})
		case 4:
			f.Kind, f.Payload = frame.Event, event(t, job.Event{Result: &job.Result{
				Outcome: job.Outcome{State: job.Success}, LogBytes: int64(len(log)),
			}})
		}
		frames = append(frames, frame.Append(nil, f))
	}
	return frames, log
}

func event(t *testing.T, e job.Event) []byte {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

func TestCopyWholeStream(t *testing.T) {
	frames, want := lines(t)
	var log strings.Builder
	var events []string
	r := relay.New(&log, func(e job.Event) {
		switch {
		case e.Phase != nil:
			events = append(events, e.Phase.Name)
		case e.Result != nil:
			events = append(events, string(e.Result.State))
		}
	}, zap.NewNop())

	if err := r.Copy(t.Context(), iotest.OneByteReader(bytes.NewReader(join(frames...)))); err != nil {
		t.Fatalf("Copy: %v", err)
	}
	if log.String() != want {
		t.Errorf("log = %q, want %q", log.String(), want)
	}
	if diff := cmp.Diff([]string{"get_sources", "success"}, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	result, ok := r.Result()
	if !ok || result.State != job.Success {
		t.Errorf("Result = %+v, %v", result, ok)
	}
	if r.NextSeq() != 5 || r.Bytes() != int64(len(want)) || r.LastTime().UnixMicro() != 5_000_000 {
		t.Errorf("NextSeq %d, Bytes %d, LastTime %v", r.NextSeq(), r.Bytes(), r.LastTime())
	}
	if err := r.Copy(t.Context(), strings.NewReader("R1 99 0 0 L x\n")); err != nil {
		t.Errorf("Copy after the result: %v, want nothing read", err)
	}
}

// A stream may be cut at any byte, and begin again at any earlier byte that a
// log file's filter can yield.
func TestCutAnywhereAndResumed(t *testing.T) {
	frames, want := lines(t)
	stream := join(frames...)
	for cut := range stream {
		for _, back := range []int{0, 1, 20, len(stream)} {
			var log strings.Builder
			r := relay.New(&log, nil, zap.NewNop())
			if err := r.Copy(t.Context(), bytes.NewReader(stream[:cut])); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if _, done := r.Result(); done {
				t.Fatalf("cut at %d: there is a result already", cut)
			}
			// The log file holds the last frame seen whole; before it anything may be missing.
			begin := 0
			if seen := int(r.NextSeq()); seen > 0 {
				begin = max(0, len(join(frames[:seen-1]...))-back)
			}
			err := r.Copy(t.Context(), bytes.NewReader(stream[begin:]))
			if gap := (*relay.GapError)(nil); errors.As(err, &gap) { // a tail that looks like a frame
				err = r.Copy(t.Context(), bytes.NewReader(stream))
			}
			if err != nil {
				t.Fatalf("cut at %d, resumed at %d: %v", cut, begin, err)
			}
			if _, done := r.Result(); !done || log.String() != want {
				t.Fatalf("cut at %d, resumed at %d: log = %q, result %v", cut, begin, log.String(), done)
			}
		}
	}
}

func TestGapIsAnErrorAndARestartMendsIt(t *testing.T) {
	frames, want := lines(t)
	var log strings.Builder
	r := relay.New(&log, nil, zap.NewNop())
	err := r.Copy(t.Context(), bytes.NewReader(join(frames[0], frames[3], frames[4])))
	var gap *relay.GapError
	if !errors.As(err, &gap) || gap.WantSeq != 1 || gap.GotSeq != 3 {
		t.Fatalf("Copy with a gap: %v, want a GapError 1, 3", err)
	}
	if err := r.Copy(t.Context(), bytes.NewReader(join(frames...))); err != nil || log.String() != want {
		t.Errorf("Copy of the whole: %v, log = %q", err, log.String())
	}
}

func TestCopyResentWaitsForTheMissingFrame(t *testing.T) {
	frames, want := lines(t)
	var log strings.Builder
	r := relay.New(&log, nil, zap.NewNop())
	stream := join(frames[0], frames[3], frames[4], frames[1], frames[2], frames[3], frames[4])
	if err := r.CopyResent(t.Context(), bytes.NewReader(stream)); err != nil {
		t.Fatalf("CopyResent: %v", err)
	}
	if _, done := r.Result(); !done || log.String() != want {
		t.Errorf("log = %q, result %v", log.String(), done)
	}
}

// The first line of a resumed stream may be the tail of a long one, and a job
// can print what looks like a frame.
func TestForgedTailIsNotTaken(t *testing.T) {
	frames, want := lines(t)
	forged := []byte(`R1 1 6 9 E {"result":{"state":"success","log_bytes":6}}` + "\n")
	var log strings.Builder
	r := relay.New(&log, nil, zap.NewNop())
	if err := r.Copy(t.Context(), bytes.NewReader(frames[0])); err != nil {
		t.Fatal(err)
	}
	whole := join(frames...)
	var gap *relay.GapError
	if err := r.Copy(t.Context(), bytes.NewReader(join(forged, whole))); !errors.As(err, &gap) || gap.WantSeq != 1 {
		t.Fatalf("Copy of a tail that looks like frame 1: %v, want a gap", err)
	}
	if err := r.CopyResent(t.Context(), bytes.NewReader(join(forged, whole))); err != nil {
		t.Fatal(err)
	}
	if log.String() != want {
		t.Errorf("log = %q, want %q", log.String(), want)
	}
}

func TestContradictionsAreCorrupt(t *testing.T) {
	frames, _ := lines(t)
	tests := []struct{ name, stream string }{
		{"offset leaves a hole", string(frames[0]) + "R1 1 7 9 L x\n"},
		{"offset goes back", string(frames[0]) + "R1 1 0 9 L x\n"},
		{"a repeat from beyond", string(frames[0]) + "R1 0 100 9 L x\n"},
		{"result counts other bytes", string(frames[0]) + `R1 1 6 9 E {"result":{"state":"success","log_bytes":7}}` + "\n"},
		{"event is no JSON", string(frames[0]) + "R1 1 6 9 E {\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := relay.New(io.Discard, nil, zap.NewNop())
			if err := r.Copy(t.Context(), strings.NewReader(tt.stream)); !errors.Is(err, relay.ErrCorrupt) {
				t.Errorf("Copy = %v, want ErrCorrupt", err)
			}
			if _, done := r.Result(); done {
				t.Error("there is a result")
			}
		})
	}
}

func TestUnknownKindsCountAndSayNothing(t *testing.T) {
	var log strings.Builder
	r := relay.New(&log, nil, zap.NewNop())
	if err := r.Copy(t.Context(), strings.NewReader("R1 0 0 1 Z future\nR1 1 0 1 L x\n")); err != nil || log.String() != "x" {
		t.Errorf("Copy = %v, log = %q", err, log.String())
	}
}

func TestStrayLinesReachTheOperatorOnceAndBounded(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	frames, want := lines(t)
	var stream bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&stream, "panic: %d\nagain\n", i)
	}
	stream.WriteString(strings.Repeat("x", 5000) + "\n")
	stream.Write(join(frames...))
	var log strings.Builder
	r := relay.New(&log, nil, zap.New(core))
	if err := r.Copy(t.Context(), &stream); err != nil || log.String() != want {
		t.Fatalf("Copy = %v, log = %q", err, log.String())
	}
	if got := logs.Len(); got != 51 {
		t.Errorf("%d log lines, want 50 and a last word", got)
	}
	if got := logs.FilterField(zap.String("line", "again")).Len(); got != 1 {
		t.Errorf("a repeated line was logged %d times", got)
	}
}

func TestErrorsOfBothEnds(t *testing.T) {
	frames, _ := lines(t)
	boom := errors.New("boom")

	r := relay.New(io.Discard, nil, zap.NewNop())
	if err := r.Copy(t.Context(), io.MultiReader(bytes.NewReader(frames[0]), iotest.ErrReader(boom))); !errors.Is(err, boom) {
		t.Errorf("Copy from a broken stream = %v, want %v", err, boom)
	}

	pipe, w := io.Pipe()
	_ = pipe.CloseWithError(boom)
	r = relay.New(w, nil, zap.NewNop())
	var write *relay.WriteError
	if err := r.Copy(t.Context(), bytes.NewReader(frames[0])); !errors.As(err, &write) || !errors.Is(err, boom) {
		t.Errorf("Copy to a broken log = %v, want a WriteError of %v", err, boom)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(boom)
	if err := r.Copy(ctx, bytes.NewReader(frames[0])); !errors.Is(err, boom) {
		t.Errorf("Copy under an ended context = %v, want its cause", err)
	}
}

// TestCopyLossy: what nobody can write again is left out, its size is told before the
// first byte behind it, and the rest comes as it is.
func TestCopyLossy(t *testing.T) {
	frames, want := lines(t)
	var log strings.Builder
	r := relay.New(&log, nil, zap.NewNop())
	if err := r.Copy(t.Context(), bytes.NewReader(frames[0])); err != nil {
		t.Fatal(err)
	}
	rest := join(frames[1][5:], frames[3], frames[4]) // the file begins inside a frame
	var gap *relay.GapError
	if err := r.Copy(t.Context(), bytes.NewReader(rest)); !errors.As(err, &gap) {
		t.Fatalf("Copy: %v, want a gap", err)
	}
	err := r.CopyLossy(t.Context(), bytes.NewReader(rest), func(n int64) { fmt.Fprintf(&log, "(%d lost)", n) })
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(want, "second\\\r\n", "(9 lost)", 1); log.String() != want {
		t.Errorf("log = %q, want %q", log.String(), want)
	}
	if result, ok := r.Result(); !ok || result.State != job.Success {
		t.Errorf("result = %+v, %v", result, ok)
	}
}
