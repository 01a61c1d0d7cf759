package archive

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
)

// A Level is how hard to compress.
type Level string

// The levels. Default saves 3 to 9 % of the bytes for 1.2 to 1.4 times the time.
const (
	Fastest Level = "fastest"
	Default Level = "default"
)

// An Encoder makes records. It is safe for concurrent use.
type Encoder struct{ zstd *zstd.Encoder }

// NewEncoder returns an Encoder for as many goroutines at once as workers says.
func NewEncoder(level Level, workers int) (*Encoder, error) {
	speed := zstd.SpeedFastest
	if level == Default {
		speed = zstd.SpeedDefault
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(workers), zstd.WithEncoderCRC(true), zstd.WithLowerEncoderMem(true))
	return &Encoder{zstd: e}, err
}

// Append appends a record with the raw bytes to dst. The announce's Kind,
// Ordinal and Offset are the caller's; the rest is filled in.
func (e *Encoder) Append(dst []byte, a Announce, raw []byte) []byte {
	start := len(dst)
	a.Raw, a.Sum = len(raw), xxh3.Hash128(raw).Bytes()
	dst = a.Append(dst)
	body := len(dst)
	if a.Kind == KindControl {
		dst = binary.LittleEndian.AppendUint32(dst, controlMagic)
		dst = binary.LittleEndian.AppendUint32(dst, 0)
	}
	dst = e.zstd.EncodeAll(raw, dst)
	a.Body = len(dst) - body
	if a.Kind == KindControl {
		binary.LittleEndian.PutUint32(dst[body+4:], uint32(a.Body-skippableHead))
	}
	a.Append(dst[:start])
	return dst
}

// A Decoder reads records' bodies. It is safe for concurrent use.
type Decoder struct{ zstd *zstd.Decoder }

// NewDecoder returns a Decoder for as many goroutines at once as workers says.
func NewDecoder(workers int) (*Decoder, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(workers), zstd.WithDecoderMaxMemory(MaxRaw), zstd.WithDecodeAllCapLimit(true))
	return &Decoder{zstd: d}, err
}

// Close ends the decoder's goroutines.
func (d *Decoder) Close() { d.zstd.Close() }

// Decode returns the raw bytes of a record, in buf if they fit. Its error is an
// ErrCorrupt.
func (d *Decoder) Decode(buf []byte, a Announce, body []byte) ([]byte, error) {
	if a.Kind == KindControl {
		if len(body) < skippableHead || binary.LittleEndian.Uint32(body) != controlMagic ||
			int64(binary.LittleEndian.Uint32(body[4:])) != int64(len(body)-skippableHead) {
			return nil, corrupt("control record without its frame")
		}
		body = body[skippableHead:]
	}
	if cap(buf) < a.Raw {
		buf = make([]byte, 0, a.Raw)
	}
	// The capacity is the limit: a body that holds more than announced ends there.
	raw, err := d.zstd.DecodeAll(body, buf[:0:a.Raw])
	switch {
	case err != nil:
		return nil, corrupt("%v record: %v", a.Kind, err)
	case len(raw) != a.Raw:
		return nil, corrupt("%v record of %d raw bytes: announced as %d", a.Kind, len(raw), a.Raw)
	case xxh3.Hash128(raw).Bytes() != a.Sum:
		return nil, corrupt("%v record: checksum differs", a.Kind)
	}
	return raw, nil
}

// Version is the version of the format.
const Version = 1

// A Control is the first record of a layer.
type Control struct {
	Version   int
	Delta     bool     // the layer changes another one
	Whiteouts []string // paths of that one which are gone
}

// A controlJSON is a Control in JSON. A path need not be UTF-8, and a string in
// JSON has to be: paths are []byte, which JSON has in base64.
type controlJSON struct {
	Version   int      `json:"version"`
	Delta     bool     `json:"delta,omitempty"`
	Whiteouts [][]byte `json:"whiteouts,omitempty"`
}

// Encode returns c as a record holds it.
func (c Control) Encode() ([]byte, error) {
	j := controlJSON{Version: c.Version, Delta: c.Delta}
	for _, path := range c.Whiteouts {
		j.Whiteouts = append(j.Whiteouts, []byte(path))
	}
	return json.Marshal(j)
}

// MaxControl bounds a control record's raw bytes: decoded, it takes some times as
// much memory.
const MaxControl = 4 << 20

// ControlBytes is about how many raw bytes a control record with these whiteouts
// has, rather more than less.
func ControlBytes(whiteouts []string) int {
	n := 64
	for _, w := range whiteouts {
		n += base64.StdEncoding.EncodedLen(len(w)) + len(`"",`)
	}
	return n
}

// DecodeControl reads what Encode has written. Its error is an ErrCorrupt.
func DecodeControl(raw []byte) (Control, error) {
	if len(raw) > MaxControl {
		return Control{}, corrupt("control record of %d bytes, more than %d", len(raw), MaxControl)
	}
	var j controlJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return Control{}, corrupt("control record: %v", err)
	}
	if j.Version != Version {
		return Control{}, corrupt("format version %d; this agent knows version %d", j.Version, Version)
	}
	c := Control{Version: j.Version, Delta: j.Delta}
	for _, path := range j.Whiteouts {
		c.Whiteouts = append(c.Whiteouts, string(path))
	}
	return c, nil
}
