package mask

import (
	"bytes"
	"slices"
	"strings"
)

// words finds which of a set of words begin at a place in a text. Most places
// are ruled out by the two bytes that stand there.
type words struct {
	pairs   [1 << 16 / 8]byte   // a bit for each two bytes that a word begins with
	byPair  map[uint16][]string // longest first
	first   [256]bool           // whether a word begins with the byte
	longest int
}

// newWords returns nil when there is no word to find.
func newWords(list []string) *words {
	w := &words{byPair: make(map[uint16][]string)}
	seen := make(map[string]bool)
	for _, word := range list {
		word = strings.TrimSpace(word)
		if word == "" || seen[word] {
			continue
		}
		seen[word] = true
		w.add(word)
	}
	if len(seen) == 0 {
		return nil
	}
	for _, list := range w.byPair {
		slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	}
	return w
}

func (w *words) add(word string) {
	w.longest = max(w.longest, len(word))
	w.first[word[0]] = true
	if len(word) > 1 {
		w.addPair(pair(word[0], word[1]), word)
		return
	}
	for second := range 256 {
		w.addPair(pair(word[0], byte(second)), word)
	}
}

func (w *words) addPair(p uint16, word string) {
	w.pairs[p>>3] |= 1 << (p & 7)
	w.byPair[p] = append(w.byPair[p], word)
}

func pair(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// next returns the first place at or after i where a word may begin, or
// len(text).
func (w *words) next(text []byte, i int) int {
	if i >= len(text) {
		return len(text)
	}
	last := len(text) - 1
	for ; i < last; i++ {
		if !w.first[text[i]] {
			continue
		}
		if p := pair(text[i], text[i+1]); w.pairs[p>>3]&(1<<(p&7)) != 0 {
			return i
		}
	}
	if w.first[text[last]] {
		return last
	}
	return len(text)
}

// at returns the words that text begins with, by their longest and shortest
// length (0 when there is none). open says that text is too short to tell
// whether a longer one begins there.
func (w *words) at(text []byte) (longest, shortest int, open bool) {
	if len(text) == 1 {
		return w.atLast(text[0])
	}
	for _, word := range w.byPair[pair(text[0], text[1])] {
		switch {
		case len(word) > len(text):
			open = open || strings.HasPrefix(word, string(text))
		case string(text[:len(word)]) == word:
			longest = max(longest, len(word))
			shortest = len(word)
		}
	}
	return longest, shortest, open
}

// atLast is at for a text of a single byte.
func (w *words) atLast(c byte) (longest, shortest int, open bool) {
	for second := range 256 {
		for _, word := range w.byPair[pair(c, byte(second))] {
			if len(word) == 1 {
				longest, shortest = 1, 1
			} else {
				open = true
			}
		}
	}
	return longest, shortest, open
}

// join returns held and text as one. It only copies when something is held.
func join(held, text []byte) []byte {
	if len(held) == 0 {
		return text
	}
	return append(held, text...)
}

// keep stores rest, which may be a part of buf itself.
func keep(buf, rest []byte) []byte {
	if len(rest) == 0 {
		return buf[:0]
	}
	return append(buf[:0], bytes.Clone(rest)...)
}
