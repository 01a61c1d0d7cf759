package treegen

import (
	"math/rand/v2"
	"strings"
)

// A texter makes text that compresses about as source code does, 3:1.
type texter struct {
	random *rand.Rand
	words  []string
	often  *rand.Zipf
}

const alphabet = "etaoinshrdlucmfwypvbgkjqxz"

func newTexter(random *rand.Rand) *texter {
	t := &texter{random: random, often: rand.NewZipf(random, 1.35, 6, 7999)}
	for range 8000 {
		var word strings.Builder
		for range 2 + random.IntN(9) {
			word.WriteByte(alphabet[min(random.IntN(26), random.IntN(26))])
		}
		t.words = append(t.words, word.String())
	}
	return t
}

var breaks = []string{" ", " ", " ", " ", " ", ".", "(", ");\n  ", ", ", " = ", ";\n"}

// make returns size bytes of text.
func (t *texter) make(size int) []byte {
	b := make([]byte, 0, size+32)
	for len(b) < size {
		b = append(b, t.words[t.often.Uint64()]...)
		b = append(b, breaks[t.random.IntN(len(breaks))]...)
	}
	return b[:size]
}
