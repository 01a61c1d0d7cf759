package joblog

import (
	"fmt"
	"strings"
)

// GitLab Runner's styles. A line of runnerd's own begins with one and ends
// with reset.
const (
	plainStyle   = "\x1b[0K"
	titleStyle   = "\x1b[0K\x1b[36;1m"
	infoStyle    = "\x1b[32;1m"
	warningStyle = "\x1b[0;33m"
	errorStyle   = "\x1b[31;1m"
	noticeStyle  = "\x1b[33;1m"
	reset        = "\x1b[0;m"
)

// Command returns the line that shows a command before it runs: the command,
// or the first of its lines with a remark, in bold green behind "$ ". It has
// no line feed.
func Command(command string) string {
	if first, _, more := strings.Cut(command, "\n"); more {
		command = strings.TrimRight(first, " \t\r") + " # collapsed multi-line command"
	}
	return infoStyle + "$ " + command + reset
}

// Notice returns text in bold green, as Info writes it, without a line feed.
func Notice(text string) string { return infoStyle + text + reset }

// Plain writes lines in the default colour.
func (w *Writer) Plain(text string) { w.lines(plainStyle, text) }

// Info writes lines in bold green.
func (w *Writer) Info(text string) { w.lines(infoStyle, text) }

// Warn writes lines in yellow, behind "WARNING: ".
func (w *Writer) Warn(text string) { w.lines(warningStyle, "WARNING: "+text) }

// Error writes lines in bold red, behind "ERROR: ".
func (w *Writer) Error(text string) { w.lines(errorStyle, "ERROR: "+text) }

// lines styles each line by itself, because GitLab shows them one by one.
func (w *Writer) lines(style, text string) {
	var out strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		out.WriteString(style + line + reset + "\n")
	}
	w.writeOwn(out.String())
}

// Section begins a section that GitLab's page can fold, under a title. The
// name is made of letters, digits and "_.-". Servers without sections only get
// the title.
func (w *Writer) Section(name, title string) {
	marker := ""
	if w.sections {
		marker = fmt.Sprintf("section_start:%d:%s\r\x1b[0K", w.now().Unix(), name)
	}
	w.writeOwn(marker + titleStyle + title + reset + "\n")
}

// EndSection ends the section name. The job's open line ends with it.
func (w *Writer) EndSection(name string) {
	_ = w.Flush() // the error sticks
	if w.sections {
		w.writeOwn(fmt.Sprintf("section_end:%d:%s\r\x1b[0K", w.now().Unix(), name))
	}
}

// Service writes a line of a service's output behind the service's name; n is
// the service's number.
func (w *Writer) Service(n int, name, line string) {
	w.serviceLine(n, "[service:"+name+"] "+line+"\n")
}

// ServiceWarning writes in yellow what happened to a service.
func (w *Writer) ServiceWarning(n int, text string) {
	w.serviceLine(n, warningStyle+"WARNING: "+text+reset+"\n")
}

func (w *Writer) serviceLine(n int, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.services[n]
	if s == nil {
		s = w.newStream(byte(min(serviceStream+n, 0xff)), w.options)
		w.services[n] = s
	}
	_ = w.job.end.pause()
	_, _ = s.mask.Write([]byte(text)) // the error sticks in the limiter
	s.flush()
}
