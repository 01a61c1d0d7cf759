// Package frame is the format of the one stream that comes out of a job's pod:
// the job's log, cut into frames that carry their byte offset, with events in
// between.
//
// A frame is one line of text, so that it survives every container runtime's
// log file and the API server's log endpoint:
//
//	R1 <seq> <offset> <unix µs> L <log bytes, escaped>
//	R1 <seq> <offset> <unix µs> E <JSON>
//
// seq counts frames from 0. offset is the position of the frame's first log
// byte in the job's log (for an event: of the next log byte). In the payload a
// backslash, a line feed and a carriage return are written \\, \n and \r; all
// other bytes stand for themselves.
//
// A reader that has to connect again reads frames that it has seen before; it
// drops them by seq. A gap in seq is never silent: see [Reader.Next].
package frame

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// MaxPayload is the most log bytes that one frame carries. Even if every byte
// is escaped, the frame with its header fits into the 16 KiB in which container
// runtimes cut lines: nothing else that the container prints can get into it.
const MaxPayload = 7 << 10

const magic = "R1 "

// A Kind says what a frame carries.
type Kind byte

// The kinds of frames. Readers skip kinds that they do not know.
const (
	Log   Kind = 'L'
	Event Kind = 'E'
)

// A Frame is one piece of the stream.
type Frame struct {
	Seq     int64
	Offset  int64
	Time    time.Time // the sender's clock, in microseconds
	Kind    Kind
	Payload []byte // log bytes or JSON; valid until the next call of Next
}

// Append appends f as a line to dst.
func Append(dst []byte, f Frame) []byte {
	dst = append(dst, magic...)
	dst = strconv.AppendInt(dst, f.Seq, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, f.Offset, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, f.Time.UnixMicro(), 10)
	dst = append(dst, ' ', byte(f.Kind), ' ')
	for _, c := range f.Payload {
		switch c {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '\n')
}

// A StrayError is a line that is no frame: something in the container wrote to
// the stream behind the sender's back, for example a panic.
type StrayError struct{ Line string }

func (e *StrayError) Error() string { return fmt.Sprintf("frame: not a frame: %.200q", e.Line) }

// maxLine bounds what Next keeps of one line in memory.
const maxLine = 64 << 10

// A Reader takes frames from a stream.
type Reader struct {
	in      *bufio.Reader
	line    []byte
	payload []byte
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 32<<10)}
}

// Next returns the next frame. It returns a [*StrayError] for a line that is
// no frame (the next call goes on behind it), io.EOF at the end, and
// io.ErrUnexpectedEOF when the stream ends inside a line; the rest of that
// line comes again after a reconnect.
//
// Next does not check the order of frames: the caller knows what it has.
func (r *Reader) Next() (Frame, error) {
	line, err := r.readLine()
	if err != nil {
		return Frame{}, err
	}
	f, ok := r.parse(line)
	if !ok {
		return Frame{}, &StrayError{Line: string(line)}
	}
	return f, nil
}

func (r *Reader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if room := maxLine - len(r.line); len(part) > room {
			part = part[:room]
		}
		r.line = append(r.line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(r.line, []byte("\n")), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(r.line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func (r *Reader) parse(line []byte) (Frame, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(magic))
	if !ok {
		return Frame{}, false
	}
	var numbers [3]int64
	for i := range numbers {
		var word []byte
		if word, rest, ok = bytes.Cut(rest, []byte(" ")); !ok {
			return Frame{}, false
		}
		n, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil || n < 0 {
			return Frame{}, false
		}
		numbers[i] = n
	}
	if len(rest) < 2 || rest[1] != ' ' {
		return Frame{}, false
	}
	payload, ok := unescape(r.payload[:0], rest[2:])
	r.payload = payload
	return Frame{
		Seq: numbers[0], Offset: numbers[1], Time: time.UnixMicro(numbers[2]),
		Kind: Kind(rest[0]), Payload: payload,
	}, ok
}

// unescape appends the bytes that src stands for to dst; ok is false for an
// escape that Append never writes.
func unescape(dst, src []byte) (out []byte, ok bool) {
	for i := 0; i < len(src); i++ {
		c := src[i]
		if c == '\\' {
			if i++; i == len(src) {
				return dst, false
			}
			switch src[i] {
			case '\\':
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			default:
				return dst, false
			}
		}
		dst = append(dst, c)
	}
	return dst, true
}
