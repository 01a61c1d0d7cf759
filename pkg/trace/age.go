package trace

import "time"

// maxMarks bounds the memory of an ages, however long GitLab is away.
const maxMarks = 256

// An ages knows when bytes of a log came, well enough to say how old the first of
// those is that GitLab has just taken. The zero ages is ready for use.
type ages struct{ marks []mark }

// A mark says when the byte at an offset came; the ones behind it came later.
type mark struct {
	offset int64
	at     time.Time
}

// came says that bytes have come, the first of them at offset. When there are too
// many marks, every other one goes: bytes then count as older than they are by what
// lies between two.
func (a *ages) came(offset int64, now time.Time) {
	if n := len(a.marks); n > 0 && now.Sub(a.marks[n-1].at) < time.Second/10 {
		return
	}
	if len(a.marks) == maxMarks {
		kept := a.marks[:0]
		for i := 0; i < maxMarks; i += 2 {
			kept = append(kept, a.marks[i])
		}
		a.marks = kept
	}
	a.marks = append(a.marks, mark{offset, now})
}

// took says that GitLab has the bytes between from and to now, and returns how long
// the first of them has waited.
func (a *ages) took(from, to int64, now time.Time) time.Duration {
	a.forget(from)
	if len(a.marks) == 0 {
		return 0
	}
	waited := now.Sub(a.marks[0].at)
	a.forget(to)
	return waited
}

// forget drops the marks that say nothing of bytes from offset on.
func (a *ages) forget(offset int64) {
	for len(a.marks) > 1 && a.marks[1].offset <= offset {
		a.marks = a.marks[1:]
	}
}
