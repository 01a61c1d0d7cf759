package cache

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// idLength is that of a layer's id: 48 bits of time in milliseconds, then 80
// random ones, five bits a character.
const idLength = 26

// idAlphabet is Crockford's base32 in lower case. It is in the order of ASCII,
// so ids are in the order of time.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// newLayerID returns an id that no other layer has.
func newLayerID(now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16)
	// crypto/rand never fails; the process ends instead.
	_, _ = rand.Read(raw[6:])
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])

	var id [idLength]byte
	for i := idLength - 1; i >= 0; i-- {
		id[i] = idAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(id[:])
}

// validLayerID reports whether id could be a layer's. It then holds nothing
// that means something in a name.
func validLayerID(id string) bool {
	if len(id) != idLength || id[0] > '7' { // 128 bits: the first character has three
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u':
		default:
			return false
		}
	}
	return true
}
