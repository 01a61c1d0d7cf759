package pack

import (
	"archive/tar"
	"strconv"
	"time"
)

// Most headers are alike: a short name and a time with nanoseconds. They are
// written here, in a fifth of the time that package archive/tar takes, which
// writes all others.

const (
	maxText  = 100     // bytes of a name
	maxOctal = 1 << 33 // a size of eleven octal digits
)

// ordinary reports whether h fits into the plain fields but for its time.
func ordinary(h *tar.Header, mtime int64) bool {
	return mtime >= 0 && h.Size < maxOctal && simple(h.Name) && simple(h.Linkname)
}

func simple(text string) bool {
	if len(text) > maxText {
		return false
	}
	for i := range len(text) {
		if text[i] == 0 || text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// appendOrdinary appends h to dst: its block, behind an extended header with the
// nanoseconds if there are any.
func appendOrdinary(dst []byte, h *tar.Header, mtime int64) []byte {
	seconds, nanos := mtime/int64(time.Second), mtime%int64(time.Second)
	if nanos != 0 {
		start := len(dst)
		dst = append(dst, zeros[:2*blockBytes]...)
		record := appendTime(dst[:start+blockBytes], seconds, nanos)
		block(dst[start:]).fill("PaxHeaders.0", 0o644, int64(len(record)-start-blockBytes), 0, tar.TypeXHeader, "")
	}
	start := len(dst)
	dst = append(dst, zeros[:blockBytes]...)
	block(dst[start:]).fill(h.Name, h.Mode, h.Size, seconds, h.Typeflag, h.Linkname)
	return dst
}

// appendTime appends the PAX record of a time: its own length, then key and value.
func appendTime(dst []byte, seconds, nanos int64) []byte {
	const key = " mtime="
	var digits [20]byte
	whole := strconv.AppendInt(digits[:0], seconds, 10)
	length := len("00") + len(key) + len(whole) + len(".000000000\n")
	dst = strconv.AppendInt(dst, int64(length), 10)
	dst = append(dst, key...)
	dst = append(dst, whole...)
	dst = append(dst, '.')
	for unit := int64(time.Second) / 10; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+nanos/unit%10))
	}
	return append(dst, '\n')
}

// A block is the 512 bytes of a header, as POSIX calls them ustar.
type block []byte

func (b block) fill(name string, mode, size, seconds int64, kind byte, link string) {
	copy(b[:100], name)
	b.octal(100, 7, mode)
	b.octal(108, 7, 0) // owner
	b.octal(116, 7, 0)
	b.octal(124, 11, size)
	b.octal(136, 11, seconds)
	b[156] = kind
	copy(b[157:257], link)
	copy(b[257:265], "ustar\x0000")
	b.octal(329, 7, 0) // device
	b.octal(337, 7, 0)

	sum := int64(8 * ' ') // the checksum counts as spaces in its own sum
	for _, c := range b[:blockBytes] {
		sum += int64(c)
	}
	b.octal(148, 6, sum)
	b[155] = ' '
}

// octal writes digits of v, and leaves the NUL behind them.
func (b block) octal(at, digits int, v int64) {
	for i := at + digits - 1; i >= at; i-- {
		b[i] = byte('0' + v&7)
		v >>= 3
	}
}
