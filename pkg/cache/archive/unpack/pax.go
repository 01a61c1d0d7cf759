package unpack

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxPAX bounds the PAX records of one entry.
const maxPAX = 64 << 10

// paxRecords are what PAX says of the entry that follows. Vendors' records are
// ignored, but for GNU's sparse files: those have content that is none.
type paxRecords struct {
	path, link  string // "" means not given, as do nil
	size, mtime *int64
}

// parse takes a block of size bytes of records off raw.
func (p *paxRecords) parse(raw []byte, size int64) (rest []byte, err error) {
	padded := size + padding(size)
	switch {
	case size > maxPAX:
		return nil, corrupt("PAX records of %d bytes, more than %d", size, maxPAX)
	case padded > int64(len(raw)):
		return nil, corrupt("PAX records of %d bytes: cut off", size)
	}
	rest = raw[padded:]
	seen := map[string]bool{}
	for records := raw[:size]; len(records) > 0; {
		var key, value string
		if key, value, records, err = nextPAX(records); err != nil {
			return nil, err
		}
		if seen[key] {
			return nil, corrupt("PAX record %.40q is there twice", key)
		}
		seen[key] = true
		if err := p.set(key, value); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// nextPAX takes the first record, "length key=value\n", off records.
func nextPAX(records []byte) (key, value string, rest []byte, err error) {
	digits, _, ok := bytes.Cut(records[:min(len(records), 8)], []byte{' '})
	n, numErr := strconv.ParseUint(string(digits), 10, 31)
	if !ok || numErr != nil || digits[0] == '0' || n > uint64(len(records)) || int(n) < len(digits)+2 || records[n-1] != '\n' {
		return "", "", nil, corrupt("PAX record without its length")
	}
	key, value, ok = strings.Cut(string(records[len(digits)+1:n-1]), "=")
	if !ok || key == "" {
		return "", "", nil, corrupt("PAX record without a key")
	}
	return key, value, records[n:], nil
}

func (p *paxRecords) set(key, value string) error {
	switch key {
	case "path", "linkpath":
		if value == "" || strings.IndexByte(value, 0) >= 0 {
			return corrupt("PAX record %q is empty or has a NUL byte", key)
		}
		if key == "path" {
			p.path = value
		} else {
			p.link = value
		}
	case "size":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return corrupt("PAX record size=%.40q", value)
		}
		size := int64(n)
		p.size = &size
	case "mtime":
		ns, ok := parseTime(value)
		if !ok {
			return corrupt("PAX record mtime=%.40q", value)
		}
		p.mtime = &ns
	default:
		// Vendors' records have a point. Extended attributes are such ones.
		if strings.HasPrefix(key, "GNU.sparse.") || !strings.Contains(key, ".") || strings.IndexByte(key, 0) >= 0 {
			return corrupt("PAX record %.40q", key)
		}
	}
	return nil
}

// apply overrides the header that follows the records.
func (p *paxRecords) apply(h *header) {
	if p.path != "" {
		h.name = p.path
	}
	if p.link != "" {
		h.link = p.link
	}
	if p.size != nil {
		h.size = *p.size
	}
	if p.mtime != nil {
		h.mtime = *p.mtime
	}
}

// parseTime reads seconds with at most nine digits behind the point as ns.
func parseTime(text string) (ns int64, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if point && fraction == "" || len(fraction) > 9 {
		return 0, false
	}
	seconds, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || seconds >= math.MaxInt64/uint64(time.Second) {
		return 0, false
	}
	nanos, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 31)
	if err != nil {
		return 0, false
	}
	ns = int64(seconds)*int64(time.Second) + int64(nanos)
	if negative {
		ns = -ns
	}
	return ns, true
}
