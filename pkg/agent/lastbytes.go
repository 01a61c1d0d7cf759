package agent

import "io"

// maxSeen is how much of a program's output is looked at for the reason of its
// failure.
const maxSeen = 4 << 10

// lastBytes keeps the end of what a program prints.
type lastBytes struct {
	out  io.Writer
	tail []byte
}

// with returns a Writer to out that also keeps the end; l may be nil.
func (l *lastBytes) with(out io.Writer) io.Writer {
	if l == nil {
		return out
	}
	l.out = out
	return l
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.tail = append(l.tail, p[max(0, len(p)-maxSeen):]...)
	if extra := len(l.tail) - maxSeen; extra > 0 {
		l.tail = l.tail[:copy(l.tail, l.tail[extra:])]
	}
	return l.out.Write(p)
}

func (l *lastBytes) String() string { return string(l.tail) }
