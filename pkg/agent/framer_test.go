package agent

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/frame"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestFramer(t *testing.T) {
	store, err := os.Create(filepath.Join(t.TempDir(), "frames"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var out bytes.Buffer
	f := newFramer(&out, store)
	long := strings.Repeat("x", frame.MaxPayload+10)
	io.WriteString(f, "one\n")
	io.WriteString(f, "two\n")
	f.event(job.Event{Canceling: true})
	io.WriteString(f, long)
	f.event(job.Event{Result: &job.Result{}})
	if err := f.flush(); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		kind    frame.Kind
		offset  int64
		payload string // of a log frame
	}{
		{frame.Log, 0, "one\ntwo\n"},
		{frame.Event, 8, ""},
		{frame.Log, 8, long[:frame.MaxPayload]},
		{frame.Log, 8 + frame.MaxPayload, long[frame.MaxPayload:]},
		{frame.Event, int64(8 + len(long)), ""},
	}
	for _, first := range []int64{0, 2, 4, 5} {
		if first > 0 {
			out.Reset()
			if err := f.resend(first); err != nil {
				t.Fatal(err)
			}
		}
		frames := frame.NewReader(bytes.NewReader(out.Bytes()))
		for i := int(first); i < len(want); i++ {
			got, err := frames.Next()
			if err != nil {
				t.Fatalf("from %d: frame %d: %v", first, i, err)
			}
			if got.Seq != int64(i) || got.Kind != want[i].kind || got.Offset != want[i].offset ||
				got.Kind == frame.Log && string(got.Payload) != want[i].payload {
				t.Errorf("from %d: frame %d = %d %c at %d with %d bytes, want %c at %d", first, i, got.Seq, got.Kind, got.Offset, len(got.Payload), want[i].kind, want[i].offset)
			}
		}
		if _, err := frames.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("from %d: more than the frames from there on: %v", first, err)
		}
	}
}
