package joblog

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// addMaskCommand begins a line of the job's output that names a value to mask
// from there on, as a script prints it that has just learned a secret.
const addMaskCommand = "::add-mask::"

const (
	maxMaskValue = 16 << 10 // the most of one value
	maxMaskTotal = 1 << 20  // the most of all values of a job
)

// A commandFilter looks for commands in the job's output. A line that is one is
// written when it is complete: the value in it is masked by then.
type commandFilter struct {
	out     io.Writer
	addMask func(value string)

	held   []byte // the beginning of a line that is, or may become, a command
	within bool   // inside a line that is none
	drop   bool   // inside a line whose value is too long: the rest is not shown
	total  int    // bytes of values so far
}

func (f *commandFilter) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 {
		switch {
		case f.drop:
			p = f.dropLine(p)
		case f.within:
			p = f.passLine(p)
		case len(f.held) == 0 && p[0] != addMaskCommand[0]:
			p = f.pass(p)
		default:
			p = f.hold(p)
		}
	}
	return size, nil
}

// pass writes up to the next line that begins as a command does.
func (f *commandFilter) pass(p []byte) []byte {
	n := bytes.Index(p, []byte{'\n', addMaskCommand[0]}) + 1
	if n == 0 {
		n = len(p)
	}
	f.emit(p[:n])
	return p[n:]
}

// passLine writes the rest of a line.
func (f *commandFilter) passLine(p []byte) []byte {
	n := bytes.IndexByte(p, '\n') + 1
	if n == 0 {
		n = len(p)
	}
	f.emit(p[:n])
	return p[n:]
}

// dropLine leaves the rest of a line out.
func (f *commandFilter) dropLine(p []byte) []byte {
	n := bytes.IndexByte(p, '\n') + 1
	f.drop = n == 0
	if f.drop {
		return nil
	}
	return p[n:]
}

// emit writes text that holds no command.
func (f *commandFilter) emit(text []byte) {
	if len(text) == 0 {
		return
	}
	f.within = text[len(text)-1] != '\n'
	_, _ = f.out.Write(text) // the error sticks in the limiter
}

// hold takes bytes of a line that may be a command.
func (f *commandFilter) hold(p []byte) []byte {
	for len(p) > 0 && len(f.held) < len(addMaskCommand) {
		if p[0] != addMaskCommand[len(f.held)] {
			held := f.held
			f.held = nil
			f.within = true
			f.emit(held)
			return p
		}
		f.held = append(f.held, p[0])
		p = p[1:]
	}
	n := bytes.IndexByte(p, '\n') + 1
	if n == 0 {
		n = len(p)
	}
	if len(f.held)+n > len(addMaskCommand)+maxMaskValue {
		f.drop, f.held = true, nil
		f.emit(unmasked(fmt.Sprintf("it is longer than %d bytes", maxMaskValue)))
		return p
	}
	f.held = append(f.held, p[:n]...)
	if n > 0 && p[n-1] == '\n' {
		f.flush()
	}
	return p[n:]
}

// flush ends the line that is held.
func (f *commandFilter) flush() {
	line := f.held
	f.held, f.drop = nil, false
	if value, ok := strings.CutPrefix(string(line), addMaskCommand); ok {
		line = f.command(line, strings.TrimSpace(value))
	}
	f.emit(line)
	f.within = f.within && len(line) > 0
}

// command carries a command out and returns the line to show for it.
func (f *commandFilter) command(line []byte, value string) []byte {
	switch {
	case value == "":
		return line
	case f.total+len(value) > maxMaskTotal:
		return unmasked(fmt.Sprintf("the job's values hold more than %d bytes", maxMaskTotal))
	}
	f.total += len(value)
	f.addMask(value)
	return line
}

// unmasked is the line that stands for a command that could not be followed.
func unmasked(why string) []byte {
	return []byte(warningStyle + "WARNING: the value of an " + addMaskCommand + " line is not masked: " + why + reset + "\n")
}
