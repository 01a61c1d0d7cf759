package joblog

import (
	"bytes"
	"io"
	"time"
	"unicode/utf8"
)

const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	headerSize = len(timeLayout) + len(" 00O ")

	// maxText is the most text of one entry; a longer line takes several.
	maxText = 8 << 10
)

// appendHeader appends what stands before an entry's text:
//
//	2026-07-26T09:15:04.123456Z 01O+
//
// which is the time, the stream's number, "O" and whether the entry continues
// the line of the stream's entry before ("+") or begins one (" ").
func appendHeader(dst []byte, t time.Time, stream byte, continues bool) []byte {
	const hex = "0123456789abcdef"
	dst = t.UTC().AppendFormat(dst, timeLayout)
	dst = append(dst, ' ', hex[stream>>4], hex[stream&15], 'O')
	if continues {
		return append(dst, '+')
	}
	return append(dst, ' ')
}

// A stamper is what the streams of one log with timestamps share.
type stamper struct {
	out     io.Writer
	now     func() time.Time
	scratch []byte
}

// A stampedStream cuts one stream into entries.
type stampedStream struct {
	*stamper
	number    byte
	text      []byte    // of a line that is still open, at most maxText
	since     time.Time // when text began
	continues bool      // the next entry continues a line
}

// Write writes the entries that p completes.
//
// An entry ends where its line ends, or at maxText. What comes after p's last
// line feed waits, unless there is a carriage return in it: a progress bar
// wants to be seen.
func (s *stampedStream) Write(p []byte) (int, error) {
	now := s.now()
	size := len(p)
	out := s.scratch[:0]
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			break
		}
		out = s.add(out, p[:end], now)
		out = s.entry(out, now, false)
		p = p[end+1:]
	}
	if len(p) > 0 {
		out = s.add(out, p, now)
		if bytes.IndexByte(p, '\r') >= 0 {
			out = s.entry(out, now, true)
		}
	}
	s.scratch = out[:0]
	if len(out) == 0 {
		return size, nil
	}
	_, err := s.out.Write(out)
	return size, err
}

// add adds text to the open line; full entries go to out.
func (s *stampedStream) add(out, text []byte, now time.Time) []byte {
	for len(s.text)+len(text) > maxText {
		n := maxText - len(s.text)
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		s.append(text[:n], now)
		out = s.entry(out, now, true)
		text = text[n:]
	}
	s.append(text, now)
	return out
}

func (s *stampedStream) append(text []byte, now time.Time) {
	if len(s.text) == 0 {
		s.since = now
	}
	s.text = append(s.text, text...)
}

// entry appends the open line as an entry to out.
func (s *stampedStream) entry(out []byte, now time.Time, goesOn bool) []byte {
	since := s.since
	if len(s.text) == 0 {
		since = now
	}
	out = appendHeader(out, since, s.number, s.continues)
	out = append(out, s.text...)
	s.text = s.text[:0]
	s.continues = goesOn
	return append(out, '\n')
}

func (s *stampedStream) pause() error { return s.finish(true) }

func (s *stampedStream) close() error {
	err := s.finish(false)
	s.continues = false
	return err
}

// yield ends the line: an entry stands alone, so that nobody else can go on with it.
func (s *stampedStream) yield() { _ = s.close() } // the error sticks in the limiter

func (s *stampedStream) finish(goesOn bool) error {
	if len(s.text) == 0 {
		return nil
	}
	_, err := s.out.Write(s.entry(nil, s.since, goesOn))
	return err
}
