package config

import "strings"

// nearest returns the candidate that word was probably meant to be, "" when
// none is near: two edits at most, and never more than a third of the word.
func nearest(word string, candidates []string) string {
	best, least := "", min(2, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(fold(word), fold(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// fold makes spellings alike that only differ in style.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance counts the edits that turn a into b: a byte inserted, left out,
// replaced, or two neighbours swapped.
func distance(a, b string) int {
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
