package unpack

import (
	"bytes"
	"fmt"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// A header is what a tar stream says of one entry.
type header struct {
	name  string
	link  string // target of a symlink or hard link
	kind  byte
	perm  uint32 // nothing else of the mode
	size  int64  // of the content that follows
	mtime int64  // ns since 1970
}

// The kinds of entries that a layer may have. Anything else is refused: sparse
// files, GNU's long names, global headers and what not.
const (
	kindFile    = '0'
	kindLink    = '1'
	kindSymlink = '2'
	kindChar    = '3'
	kindBlock   = '4'
	kindFolder  = '5'
	kindPipe    = '6'
	kindPAX     = 'x'
)

const blockBytes = 512

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", archive.ErrCorrupt, fmt.Sprintf(format, args...))
}

// parseHeader takes an entry's header, with the PAX records before it, off raw.
//
// It reads what package pack writes, and no other dialect of tar: what two
// readers could understand differently is an error. Its error is an ErrCorrupt.
func parseHeader(raw []byte) (h header, rest []byte, err error) {
	if err := h.parseBlock(raw); err != nil {
		return h, nil, err
	}
	raw = raw[blockBytes:]
	if h.kind == kindPAX {
		var pax paxRecords
		if raw, err = pax.parse(raw, h.size); err != nil {
			return h, nil, err
		}
		h = header{}
		if err := h.parseBlock(raw); err != nil {
			return h, nil, err
		}
		raw = raw[blockBytes:]
		pax.apply(&h)
	}
	switch h.kind {
	case kindFile:
	case kindLink, kindSymlink, kindChar, kindBlock, kindFolder, kindPipe:
		if h.size != 0 {
			return h, nil, corrupt("%q of type %q has content", h.name, h.kind)
		}
	default:
		return h, nil, corrupt("%q is of unknown type %q", h.name, h.kind)
	}
	return h, raw, nil
}

// parseBlock reads a header's 512 bytes, as POSIX calls them ustar.
func (h *header) parseBlock(raw []byte) error {
	if len(raw) < blockBytes {
		return corrupt("tar header of %d bytes", len(raw))
	}
	b := raw[:blockBytes]
	if string(b[257:265]) != "ustar\x0000" {
		return corrupt("tar header without its magic")
	}
	fields := octals{block: b}
	for _, unused := range []int{108, 116, 329, 337} { // owner and device: wrong ones are an error to others
		fields.number(unused, 8)
	}
	mode, size, seconds, sum := fields.number(100, 8), fields.number(124, 12), fields.number(136, 12), fields.number(148, 8)
	switch {
	case fields.bad:
		return corrupt("tar header: a number has something else than octal digits")
	case sum != checksum(b):
		return corrupt("tar header: checksum differs")
	case !allZero(b[500:]):
		return corrupt("tar header has something behind its fields")
	}
	h.name, h.link = text(b[:100]), text(b[157:257])
	if prefix := text(b[345:500]); prefix != "" {
		h.name = prefix + "/" + h.name
	}
	h.kind, h.perm, h.size, h.mtime = b[156], uint32(mode)&0o777, size, seconds*int64(time.Second)
	return nil
}

// octals reads numbers of a header's block.
type octals struct {
	block []byte
	bad   bool
}

// number reads octal digits that end with a space or NUL, at the field's end at
// the latest. At most 12 of them are below 1<<36.
func (o *octals) number(start, length int) int64 {
	field := o.block[start : start+length]
	field = bytes.TrimLeft(field, " ")
	var n int64
	for i, c := range field {
		if c == 0 || c == ' ' {
			o.bad = o.bad || len(bytes.Trim(field[i:], " \x00")) > 0
			break
		}
		o.bad = o.bad || c < '0' || c > '7'
		n = n<<3 | int64(c-'0')
	}
	return n
}

// checksum sums up the bytes of a header, with spaces in the sum's own place.
func checksum(b []byte) int64 {
	var sum int64
	for _, c := range b[:148] {
		sum += int64(c)
	}
	for _, c := range b[156:] {
		sum += int64(c)
	}
	return sum + 8*' '
}

func text(field []byte) string {
	if i := bytes.IndexByte(field, 0); i >= 0 {
		field = field[:i]
	}
	return string(field)
}

// padding is how many bytes of a block are left after content.
func padding(content int64) int64 { return -content & (blockBytes - 1) }

var zeros [sparseBytes]byte

// allZero is about free where b is not zero.
func allZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
