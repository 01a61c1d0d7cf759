package frame_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/frame"
)

func TestRoundTrip(t *testing.T) {
	payloads := []string{"", "plain", "two\nlines\r\n", `back\slash \n`, "\x00\xff\x1b[0m", "日本語\n"}
	var stream []byte
	for i, p := range payloads {
		stream = frame.Append(stream, frame.Frame{
			Seq: int64(i), Offset: int64(10 * i), Time: time.UnixMicro(1_700_000_000_000_001), Kind: frame.Log, Payload: []byte(p),
		})
	}
	if got := bytes.Count(stream, []byte("\n")); got != len(payloads) {
		t.Errorf("%d frames take %d lines, want one each", len(payloads), got)
	}
	r := frame.NewReader(bytes.NewReader(stream))
	for i, want := range payloads {
		f, err := r.Next()
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if string(f.Payload) != want || f.Seq != int64(i) || f.Offset != int64(10*i) || f.Kind != frame.Log {
			t.Errorf("frame %d = %+v with %q, want payload %q", i, f, f.Payload, want)
		}
		if f.Time.UnixMicro() != 1_700_000_000_000_001 {
			t.Errorf("frame %d: time %v", i, f.Time)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v, want EOF", err)
	}
}

func TestStrayLinesAreReportedAndSkipped(t *testing.T) {
	stream := "panic: boom\n" +
		"R1 x 0 0 L a\n" + "R1 1 0 -5 L a\n" + "R1 1 0 5 La\n" + "R1 1 0 5\n" + `R1 1 0 5 L \q` + "\n" + `R1 1 0 5 L \` + "\n" +
		string(frame.Append(nil, frame.Frame{Seq: 7, Kind: frame.Event, Time: time.UnixMicro(1), Payload: []byte("{}")}))
	r := frame.NewReader(bytes.NewReader([]byte(stream)))
	var stray *frame.StrayError
	for i := range 7 {
		if _, err := r.Next(); !errors.As(err, &stray) {
			t.Fatalf("line %d: %v, want a StrayError", i, err)
		}
	}
	if f, err := r.Next(); err != nil || f.Seq != 7 || f.Kind != frame.Event {
		t.Errorf("frame after stray lines = %+v, %v", f, err)
	}
}

func TestStreamCutInsideALine(t *testing.T) {
	whole := frame.Append(nil, frame.Frame{Seq: 1, Time: time.UnixMicro(1), Kind: frame.Log, Payload: []byte("hello")})
	r := frame.NewReader(bytes.NewReader(whole[:len(whole)-3]))
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut line: %v, want unexpected EOF", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("R1 0 0 1 L hi\\n\n"))
	f.Add([]byte("R1 0 0 1 E {}\nnoise\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := frame.NewReader(bytes.NewReader(in))
		for {
			got, err := r.Next()
			var stray *frame.StrayError
			if errors.As(err, &stray) {
				continue
			}
			if err != nil {
				return
			}
			again, err := frame.NewReader(bytes.NewReader(frame.Append(nil, got))).Next()
			if err != nil || !bytes.Equal(again.Payload, got.Payload) || again.Seq != got.Seq || again.Offset != got.Offset {
				t.Fatalf("frame %+v does not survive a round trip: %+v, %v", got, again, err)
			}
		}
	})
}
