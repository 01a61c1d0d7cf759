package joblog

import (
	"io"
	"unicode/utf8"
)

// A utf8Writer replaces each byte that belongs to no UTF-8 sequence with
// U+FFFD, as GitLab Runner does. A sequence may be cut by writes.
type utf8Writer struct {
	out  io.Writer
	held []byte // the beginning of a sequence
	buf  []byte
}

func (w *utf8Writer) Write(p []byte) (int, error) {
	size := len(p)
	if len(w.held) > 0 {
		p = append(w.held, p...)
	}
	whole := len(p) - cutSequence(p)
	err := w.write(p[:whole])
	w.held = append([]byte(nil), p[whole:]...)
	return size, err
}

func (w *utf8Writer) flush() error {
	err := w.write(w.held)
	w.held = nil
	return err
}

func (w *utf8Writer) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if !utf8.Valid(p) {
		w.buf = appendValid(w.buf[:0], p)
		p = w.buf
	}
	_, err := w.out.Write(p)
	return err
}

// cutSequence returns how many bytes at the end of p begin a sequence that p
// does not complete.
func cutSequence(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

func appendValid(dst, p []byte) []byte {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		dst = utf8.AppendRune(dst, r)
		p = p[n:]
	}
	return dst
}
