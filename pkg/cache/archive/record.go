package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of the format.
const (
	FrameBytes = 4 << 20  // raw bytes of a record, about
	MaxRaw     = 16 << 20 // raw bytes of a record, at most
	LeafBytes  = 1 << 20  // see [Sum]

	announceMagic = 0x184D2A57
	controlMagic  = 0x184D2A58
	announceBytes = 40
	skippableHead = 8 // magic and size
	// HeaderBytes is what a record has in front of its body.
	HeaderBytes = skippableHead + announceBytes
)

// A Kind says what a record holds.
type Kind uint32

// The kinds.
const (
	KindControl Kind = iota + 1
	KindEntries
	KindHead
	KindCont
	KindEnd
)

func (k Kind) String() string {
	if k < KindControl || k > KindEnd {
		return fmt.Sprintf("kind %d", uint32(k))
	}
	return [...]string{"control", "entries", "head", "cont", "end"}[k-KindControl]
}

// An Announce is what stands before a record's body.
type Announce struct {
	Kind    Kind
	Body    int // bytes
	Raw     int // bytes
	Ordinal uint32
	Offset  uint64
	Sum     [16]byte // XXH3-128 of the raw bytes
}

// ErrCorrupt is what every error about an archive's bytes is.
var ErrCorrupt = errors.New("corrupt archive")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// Append appends the announce frame of a to dst.
func (a Announce) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, announceMagic)
	dst = le.AppendUint32(dst, announceBytes)
	dst = le.AppendUint32(dst, uint32(a.Body))
	dst = le.AppendUint32(dst, uint32(a.Raw))
	dst = le.AppendUint32(dst, uint32(a.Kind))
	dst = le.AppendUint32(dst, a.Ordinal)
	dst = le.AppendUint64(dst, a.Offset)
	return append(dst, a.Sum[:]...)
}

// Next takes the first record off segment. Body and rest are parts of segment.
// Its error is an ErrCorrupt. An empty segment has no record.
func Next(segment []byte) (a Announce, body, rest []byte, err error) {
	if len(segment) < HeaderBytes {
		return a, nil, nil, corrupt("record of %d bytes: cut off", len(segment))
	}
	le := binary.LittleEndian
	if le.Uint32(segment) != announceMagic || le.Uint32(segment[4:]) != announceBytes {
		return a, nil, nil, corrupt("record without an announce frame")
	}
	size, raw := le.Uint32(segment[8:]), le.Uint32(segment[12:])
	a = Announce{
		Kind: Kind(le.Uint32(segment[16:])), Ordinal: le.Uint32(segment[20:]), Offset: le.Uint64(segment[24:]),
	}
	copy(a.Sum[:], segment[32:])
	rest = segment[HeaderBytes:]
	switch {
	case a.Kind < KindControl || a.Kind > KindEnd:
		return a, nil, nil, corrupt("record of unknown %v", a.Kind)
	case raw > MaxRaw:
		return a, nil, nil, corrupt("%v record of %d raw bytes, more than %d", a.Kind, raw, MaxRaw)
	case uint64(size) > uint64(len(rest)):
		return a, nil, nil, corrupt("%v record of %d bytes: only %d are there", a.Kind, size, len(rest))
	}
	a.Body, a.Raw = int(size), int(raw)
	return a, rest[:size], rest[size:], nil
}
