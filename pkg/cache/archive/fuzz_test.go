package archive

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/zeebo/xxh3"
)

// FuzzRecords reads a segment of anybody's making: whatever is in it, each
// record is what its announce says, or an ErrCorrupt.
func FuzzRecords(f *testing.F) {
	encoder, err := NewEncoder(Fastest, 1)
	if err != nil {
		f.Fatal(err)
	}
	control, err := Control{Version: Version, Whiteouts: []string{"a"}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	segment := encoder.Append(nil, Announce{Kind: KindControl}, control)
	segment = encoder.Append(segment, Announce{Kind: KindEntries}, bytes.Repeat([]byte("text "), 100))
	segment = encoder.Append(segment, Announce{Kind: KindCont, Ordinal: 7, Offset: 1 << 40}, nil)
	f.Add(segment)
	f.Add(segment[:len(segment)-1])
	decoder, err := NewDecoder(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(decoder.Close)
	f.Fuzz(func(t *testing.T, segment []byte) {
		for rest := segment; len(rest) > 0; {
			before := len(rest)
			a, body, next, err := Next(rest)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatal(err)
				}
				return
			}
			rest = next
			if a.Body != len(body) || before-len(rest) != HeaderBytes+len(body) || a.Raw > MaxRaw || !bytes.Equal(a.Append(nil), segment[len(segment)-before:][:HeaderBytes]) {
				t.Fatalf("record of %d bytes is taken off as %+v with %d bytes", before-len(rest), a, len(body))
			}
			if a.Raw > 1<<20 {
				continue // right, and slow
			}
			raw, err := decoder.Decode(nil, a, body)
			switch {
			case err != nil && !errors.Is(err, ErrCorrupt):
				t.Fatal(err)
			case err == nil && (len(raw) != a.Raw || xxh3.Hash128(raw).Bytes() != a.Sum):
				t.Fatalf("%d bytes are decoded, and not what %+v says", len(raw), a)
			}
		}
	})
}

// FuzzControl reads a control record of anybody's making. One that is right
// stays what it is when it is written again.
func FuzzControl(f *testing.F) {
	for _, c := range []Control{{Version: Version}, {Version: Version, Delta: true, Whiteouts: []string{"a/b", "\xff", ""}}, {Version: 2}} {
		raw, err := c.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := DecodeControl(raw)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := DecodeControl(again); err != nil || !reflect.DeepEqual(c, d) {
			t.Fatalf("%+v is %+v (%v) after it is written again", c, d, err)
		}
	})
}
