package cache

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	idA = "01hf000000000000000000000a"
	idB = "01hf000000000000000000000b"
	idC = "01hf000000000000000000000c"
)

// aHead is one with everything in it.
func aHead() *Head {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	sum := strings.Repeat("0f", 32)
	return &Head{
		Version: 1, Key: "go-mod", Tier: "release", Created: at, Job: 4711, Ref: "main",
		Base:    Layer{ID: idA, Created: at, Raw: 1000, Entries: 3, Segments: []Segment{{10, sum}, {20, sum}}},
		Delta:   &Layer{ID: idB, Created: at, Raw: 10, Entries: 1, Whiteouts: 2, Segments: []Segment{{5, sum}}},
		Retired: []Retired{{ID: idC, At: at}},
	}
}

func TestHeadRoundTrip(t *testing.T) {
	want := aHead()
	data, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseHead(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	if got.bytes() != 35 {
		t.Errorf("it has %d bytes, want 35", got.bytes())
	}
}

func TestParseHeadRefuses(t *testing.T) {
	sum := strings.Repeat("0f", 32)
	changes := map[string]func(*Head){
		"version":           func(h *Head) { h.Version = 2 },
		"no key":            func(h *Head) { h.Key = "" },
		"long key":          func(h *Head) { h.Key = strings.Repeat("k", maxKeyBytes+1) },
		"long tier":         func(h *Head) { h.Tier = strings.Repeat("t", maxTierBytes+1) },
		"long ref":          func(h *Head) { h.Ref = strings.Repeat("k", maxRefBytes+1) },
		"no time":           func(h *Head) { h.Created = time.Time{} },
		"job":               func(h *Head) { h.Job = -1 },
		"no id":             func(h *Head) { h.Base.ID = "" },
		"id is a path":      func(h *Head) { h.Base.ID = "../../../../../other/key/o" },
		"base without time": func(h *Head) { h.Base.Created = time.Time{} },
		"raw":               func(h *Head) { h.Base.Raw = -1 },
		"much raw":          func(h *Head) { h.Base.Raw = maxLayerBytes + 1 },
		"entries":           func(h *Head) { h.Base.Entries = -1 },
		"no segments":       func(h *Head) { h.Base.Segments = nil },
		"many segments":     func(h *Head) { h.Base.Segments = make([]Segment, maxSegments+1) },
		"empty segment":     func(h *Head) { h.Base.Segments[1].Bytes = 0 },
		"negative segment":  func(h *Head) { h.Base.Segments[1].Bytes = -5 },
		"large segment":     func(h *Head) { h.Base.Segments[1].Bytes = maxSegmentSize + 1 },
		"short sum":         func(h *Head) { h.Base.Segments[1].SHA256 = sum[1:] },
		"capital sum":       func(h *Head) { h.Base.Segments[1].SHA256 = strings.ToUpper(sum) },
		"no hex":            func(h *Head) { h.Base.Segments[1].SHA256 = strings.Repeat("xy", 32) },
		"whiteouts in base": func(h *Head) { h.Base.Whiteouts = 1 },
		"delta":             func(h *Head) { h.Delta.Segments = nil },
		"delta whiteouts":   func(h *Head) { h.Delta.Whiteouts = -1 },
		"delta is base":     func(h *Head) { h.Delta.ID = h.Base.ID },
		"retired id":        func(h *Head) { h.Retired[0].ID = "x" },
		"retired never":     func(h *Head) { h.Retired[0].At = time.Time{} },
		"base retired":      func(h *Head) { h.Retired[0].ID = h.Base.ID },
		"delta retired":     func(h *Head) { h.Retired[0].ID = h.Delta.ID },
		"retired twice":     func(h *Head) { h.Retired = append(h.Retired, h.Retired[0]) },
	}
	for name, change := range changes {
		h := aHead()
		change(h)
		data, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseHead(data); err == nil {
			t.Errorf("%s: a head was read from %.200s", name, data)
		}
		if _, err := h.encode(); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	good, err := aHead().encode()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"nothing":        "",
		"other JSON":     `"head"`,
		"null":           "null",
		"cut":            string(good[:len(good)-1]),
		"more":           string(good) + "{}",
		"triple":         strings.Replace(string(good), `[10,`, `[10,10,`, 1),
		"single":         strings.Replace(string(good), `[10,"`+sum+`"]`, `[10]`, 1),
		"fraction":       strings.Replace(string(good), `[10,`, `[10.5,`, 1),
		"segment object": strings.Replace(string(good), `[10,"`+sum+`"]`, `{}`, 1),
		"too large":      strings.Replace(string(good), `"job"`, `"x":"`+strings.Repeat("x", maxHeadBytes)+`","job"`, 1),
	}
	for name, text := range texts {
		if text == string(good) {
			t.Fatalf("%s: the text is that of a good head", name)
		}
		if _, err := ParseHead([]byte(text)); err == nil {
			t.Errorf("%s: a head was read from %.200s", name, text)
		}
	}
	if _, err := ParseHead([]byte(strings.Replace(string(good), `"job"`, `"later":1,"job"`, 1))); err != nil {
		t.Errorf("a head with a field of a later version: %v", err)
	}
}

// TestLargestHead shows that the largest layers fit into a head.
func TestLargestHead(t *testing.T) {
	h := aHead()
	h.Delta = nil
	h.Base.Segments = make([]Segment, maxSegments)
	for i := range h.Base.Segments {
		h.Base.Segments[i] = Segment{32 << 20, strings.Repeat("ab", 32)}
	}
	data, err := h.encode()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d segments: %d bytes", maxSegments, len(data))
}

func FuzzHead(f *testing.F) {
	data, err := aHead().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"v":1,"key":"k","created":"2026-01-01T00:00:00Z","base":{"id":"` + idA + `","created":"2026-01-01T00:00:00Z","raw":0,"entries":0,"seg":[]},"job":1,"ref":""}`))
	f.Add([]byte(`{"v":1,"key":"k","created":"2026-01-01T00:00:00+23:59","base":{"id":"../../x","seg":[[1,"x"]]},"bad":true,"retired":[{}]}`))
	f.Add([]byte(`{"v":1e400}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ParseHead(data)
		if err != nil {
			return
		}
		for _, id := range h.layers() {
			if name := folder("p/v1/1/s/x/").segment(id, 0); strings.Count(name, "/") != 7 || strings.Contains(name, "..") {
				t.Errorf("the name %q leads elsewhere", name)
			}
		}
		again, err := h.encode()
		if len(again) > maxHeadBytes {
			return // white space and escapes may be shorter as they were
		}
		if err != nil {
			t.Fatalf("a head that was read cannot be written: %v", err)
		}
		h2, err := ParseHead(again)
		if err != nil {
			t.Fatalf("it cannot be read again: %v", err)
		}
		if diff := cmp.Diff(h, h2); diff != "" {
			t.Errorf("it is another one then (-first +second):\n%s", diff)
		}
	})
}
