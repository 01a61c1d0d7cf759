package archive

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestControl(t *testing.T) {
	want := Control{Version: Version, Delta: true, Whiteouts: []string{"a/b", "not utf-8: \xff\xfe", "\"quoted\"\n"}}
	raw, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeControl(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("control differs after encoding (-want +got):\n%s", diff)
	}
	for _, raw := range []string{"", "{", `{"version":2}`, `{"version":1,"whiteouts":["a/b!"]}`} {
		if _, err := DecodeControl([]byte(raw)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("DecodeControl(%q) returns %v, want an ErrCorrupt", raw, err)
		}
	}
}

func TestControlIsBounded(t *testing.T) {
	var whiteouts []string
	for i := range 60_000 {
		whiteouts = append(whiteouts, fmt.Sprintf("node_modules/package-%d/lib/some/longer/path/file.js", i))
	}
	c := Control{Version: Version, Delta: true, Whiteouts: whiteouts}
	raw, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if n := ControlBytes(whiteouts); n < len(raw) || n > len(raw)*11/10 {
		t.Errorf("ControlBytes = %d, the record has %d", n, len(raw))
	}
	if _, err := DecodeControl(raw); err == nil || len(raw) <= MaxControl {
		t.Errorf("a record of %d bytes is read (%v)", len(raw), err)
	}
}
