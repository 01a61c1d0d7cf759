package archive

import (
	"errors"
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
