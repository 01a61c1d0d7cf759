package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// The bounds of a head.
const (
	headVersion    = 1
	maxHeadBytes   = 256 << 10
	maxKeyBytes    = 4 << 10
	maxTierBytes   = 256
	maxRefBytes    = 4 << 10
	maxRetired     = 512     // more are left to the sweep
	maxLayerBytes  = 1 << 50 // unpacked
	maxEntries     = math.MaxInt32
	maxSegmentSize = 64 << 20
	sumLength      = 64 // SHA-256, hex
)

// A Head names the layers of a cache. It is the one object of a key that is
// ever overwritten, and it is written after what it names.
type Head struct {
	Version int       `json:"v"`
	Key     string    `json:"key"`
	Tier    string    `json:"tier,omitempty"` // that the cache is kept to; "" for none
	Created time.Time `json:"created"`        // when a job has last saved the cache
	Base    Layer     `json:"base"`
	Delta   *Layer    `json:"delta,omitempty"` // what has changed since Base
	Job     int64     `json:"job"`             // that saved it last
	Ref     string    `json:"ref"`             // of that job
	Bad     bool      `json:"bad,omitempty"`   // a job has found the layers damaged: there is nothing to restore

	// Retired are layers that were part of the cache. Jobs may still read them.
	Retired []Retired `json:"retired,omitempty"`
}

// A Layer is a layer as a head has it.
type Layer struct {
	ID        string    `json:"id"`
	Created   time.Time `json:"created"` // no later than its first segment
	Raw       int64     `json:"raw"`     // bytes, unpacked
	Entries   int       `json:"entries"`
	Whiteouts int       `json:"whiteouts,omitempty"` // of a delta
	Segments  []Segment `json:"seg"`
}

// Bytes is the layer's size in the store.
func (l *Layer) Bytes() int64 {
	var n int64
	for _, s := range l.Segments {
		n += s.Bytes
	}
	return n
}

// A Segment is one object of a layer; its number is its position. In JSON it is
// [bytes, "sum"].
type Segment struct {
	Bytes  int64
	SHA256 string // hex
}

// A Retired is a layer that has been superseded.
type Retired struct {
	ID string    `json:"id"`
	At time.Time `json:"at"` // when
}

// MarshalJSON writes the pair.
func (s Segment) MarshalJSON() ([]byte, error) { return json.Marshal([]any{s.Bytes, s.SHA256}) }

// UnmarshalJSON reads the pair, and nothing longer.
func (s *Segment) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a segment has 2 values, not %d", len(pair))
	}
	if err := json.Unmarshal(pair[0], &s.Bytes); err != nil {
		return err
	}
	return json.Unmarshal(pair[1], &s.SHA256)
}

// ParseHead reads a head and checks that everything in it is possible. Fields
// that it does not know are passed over.
func ParseHead(data []byte) (*Head, error) {
	if len(data) > maxHeadBytes {
		return nil, fmt.Errorf("it has %d bytes; %d are possible", len(data), maxHeadBytes)
	}
	var h Head
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&h); err != nil {
		return nil, fmt.Errorf("it is not the JSON of a head: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows its JSON")
	}
	if err := h.validate(); err != nil {
		return nil, err
	}
	return &h, nil
}

// encode returns h as it is stored.
func (h *Head) encode() ([]byte, error) {
	if err := h.validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(h)
	if err == nil && len(data) > maxHeadBytes {
		err = fmt.Errorf("it would have %d bytes; %d are possible", len(data), maxHeadBytes)
	}
	return data, err
}

func (h *Head) validate() error {
	switch {
	case h.Version != headVersion:
		return fmt.Errorf("its version is %d, not %d", h.Version, headVersion)
	case len(h.Key) == 0, len(h.Key) > maxKeyBytes:
		return fmt.Errorf("its key has %d bytes", len(h.Key))
	case len(h.Tier) > maxTierBytes:
		return fmt.Errorf("its tier has %d bytes", len(h.Tier))
	case len(h.Ref) > maxRefBytes:
		return fmt.Errorf("its ref has %d bytes", len(h.Ref))
	case !sane(h.Created):
		return fmt.Errorf("it was created at %s", h.Created)
	case h.Job < 0:
		return fmt.Errorf("its job is %d", h.Job)
	case len(h.Retired) > maxRetired:
		return fmt.Errorf("%d layers are retired", len(h.Retired))
	}
	if err := h.Base.validate(); err != nil {
		return fmt.Errorf("base: %w", err)
	}
	if h.Base.Whiteouts != 0 {
		return errors.New("base: it has whiteouts")
	}
	if h.Delta != nil {
		if err := h.Delta.validate(); err != nil {
			return fmt.Errorf("delta: %w", err)
		}
	}
	return h.validateIDs()
}

// validateIDs sees to it that no layer is named twice: what is retired will be
// deleted.
func (h *Head) validateIDs() error {
	ids := h.layers()
	for _, r := range h.Retired {
		if !validLayerID(r.ID) || !sane(r.At) {
			return fmt.Errorf("retired layer %.40q at %s", r.ID, r.At)
		}
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			return fmt.Errorf("layer %s is named twice", ids[i])
		}
	}
	return nil
}

func (l *Layer) validate() error {
	switch {
	case !validLayerID(l.ID):
		return fmt.Errorf("%.40q is no layer's id", l.ID)
	case !sane(l.Created):
		return fmt.Errorf("it was created at %s", l.Created)
	case l.Raw < 0, l.Raw > maxLayerBytes:
		return fmt.Errorf("%d bytes, unpacked", l.Raw)
	case l.Entries < 0, l.Entries > maxEntries:
		return fmt.Errorf("%d entries", l.Entries)
	case l.Whiteouts < 0, l.Whiteouts > maxEntries:
		return fmt.Errorf("%d whiteouts", l.Whiteouts)
	case len(l.Segments) == 0, len(l.Segments) > maxSegments:
		return fmt.Errorf("%d segments", len(l.Segments))
	}
	for n, s := range l.Segments {
		if s.Bytes <= 0 || s.Bytes > maxSegmentSize {
			return fmt.Errorf("segment %d has %d bytes", n, s.Bytes)
		}
		if !isHex(s.SHA256, sumLength) {
			return fmt.Errorf("segment %d: %.80q is no SHA-256", n, s.SHA256)
		}
	}
	return nil
}

// layers are the ids of the layers that the cache is made of.
func (h *Head) layers() []string {
	ids := []string{h.Base.ID}
	if h.Delta != nil {
		ids = append(ids, h.Delta.ID)
	}
	return ids
}

// bytes is the size of those layers in the store.
func (h *Head) bytes() int64 {
	n := h.Base.Bytes()
	if h.Delta != nil {
		n += h.Delta.Bytes()
	}
	return n
}

// sane reports whether a cache can have been made at t.
func sane(t time.Time) bool {
	t = t.UTC() // JSON knows years of four digits
	return t.Year() >= 2020 && t.Year() < 9999
}
