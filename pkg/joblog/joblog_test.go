package joblog_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
)

const stamp = "2026-07-26T09:15:04.123456Z "

func options(o job.LogOptions) joblog.Options {
	now := time.Date(2026, 7, 26, 11, 15, 4, 123456789, time.FixedZone("", 2*60*60))
	return joblog.Options{LogOptions: o, Now: func() time.Time { return now }}
}

// write writes parts as the job's output, each in one Write.
func write(w *joblog.Writer, parts ...string) {
	for _, p := range parts {
		io.WriteString(w, p)
	}
}

func TestTimestamps(t *testing.T) {
	long := strings.Repeat("x", 8192)
	tests := []struct {
		name  string
		parts []string
		want  []string // entries without their time
	}{
		{name: "lines", parts: []string{"one\ntwo\n"}, want: []string{"01O one", "01O two"}},
		{name: "a line in parts", parts: []string{"on", "e\nt", "wo"}, want: []string{"01O one", "01O two"}},
		{name: "empty line", parts: []string{"\n"}, want: []string{"01O "}},
		{name: "carriage return and line feed", parts: []string{"one\r\ntwo\r\n"}, want: []string{"01O one\r", "01O two\r"}},
		{name: "progress bar", parts: []string{"10%\r", "20%\r", "done\n", "next\n"}, want: []string{"01O 10%\r", "01O+20%\r", "01O+done", "01O next"}},
		{name: "a rest before a progress bar goes with it", parts: []string{"a", "b\rc", "d\n"}, want: []string{"01O ab\rc", "01O+d"}},
		{name: "progress bar at the end", parts: []string{"10%\r"}, want: []string{"01O 10%\r"}},
		{name: "line of the greatest size", parts: []string{long, "\n", "y\n"}, want: []string{"01O " + long, "01O y"}},
		{name: "longer line", parts: []string{long + "y\n", "z\n"}, want: []string{"01O " + long, "01O+y", "01O z"}},
		{name: "longer open line", parts: []string{long, "y"}, want: []string{"01O " + long, "01O+y"}},
		{name: "long line is cut between characters", parts: []string{long[:8191] + "é\n"}, want: []string{"01O " + long[:8191], "01O+é"}},
		{name: "invalid UTF-8", parts: []string{"a\xffb\xe2\x82c\xc3"}, want: []string{"01O a\ufffdb\ufffd\ufffdc\ufffd"}},
		{name: "character in two writes", parts: []string{"\xe2\x82", "\xac\n"}, want: []string{"01O €"}},
		{name: "secret in two writes", parts: []string{"a hunt", "er22 b\n"}, want: []string{"01O a [MASKED] b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			w := joblog.New(&out, options(job.LogOptions{Timestamps: true, Masks: []string{"hunter22"}}))
			write(w, tt.parts...)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			want := ""
			for _, entry := range tt.want {
				want += stamp + entry + "\n"
			}
			if diff := cmp.Diff(want, out.String()); diff != "" {
				t.Errorf("log of %q (-want +got):\n%s", tt.parts, diff)
			}
		})
	}
}

func TestOwnLines(t *testing.T) {
	say := func(w *joblog.Writer) {
		w.Section("step_script", "Executing")
		write(w, "open")
		w.Warn("careful")
		write(w, " line\nrest")
		w.EndSection("step_script")
		w.Plain("plain")
		w.Info("a\nb")
		w.Error("Job failed: token hunter22")
	}
	tests := []struct {
		name string
		opts job.LogOptions
		want string
	}{
		{
			name: "timestamps and sections", opts: job.LogOptions{Timestamps: true, Sections: true},
			want: stamp + "00O section_start:1785057304:step_script\r\x1b[0K\x1b[0K\x1b[36;1mExecuting\x1b[0;m\n" +
				stamp + "01O open\n" +
				stamp + "00O \x1b[0;33mWARNING: careful\x1b[0;m\n" +
				stamp + "01O+ line\n" +
				stamp + "01O rest\n" +
				stamp + "00O section_end:1785057304:step_script\r\x1b[0K\n" +
				stamp + "00O+\x1b[0Kplain\x1b[0;m\n" +
				stamp + "00O \x1b[32;1ma\x1b[0;m\n" + stamp + "00O \x1b[32;1mb\x1b[0;m\n" +
				stamp + "00O \x1b[31;1mERROR: Job failed: token [MASKED]\x1b[0;m\n",
		},
		{
			name: "raw", opts: job.LogOptions{},
			want: "\x1b[0K\x1b[36;1mExecuting\x1b[0;m\nopen\n\x1b[0;33mWARNING: careful\x1b[0;m\n line\nrest\n" +
				"\x1b[0Kplain\x1b[0;m\n\x1b[32;1ma\x1b[0;m\n\x1b[32;1mb\x1b[0;m\n\x1b[31;1mERROR: Job failed: token [MASKED]\x1b[0;m\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tt.opts.Masks = []string{"hunter22"}
			w := joblog.New(&out, options(tt.opts))
			say(w)
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwnLineDoesNotBreakASecret(t *testing.T) {
	var out bytes.Buffer
	w := joblog.New(&out, options(job.LogOptions{Masks: []string{"hunter22"}}))
	write(w, "hunt")
	w.Info("interruption")
	write(w, "er22\n")
	if err := w.EndOutput(); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[32;1minterruption\x1b[0;m\n[MASKED]\n"; out.String() != want {
		t.Errorf("log %q, want %q", out.String(), want)
	}
}

func TestCommand(t *testing.T) {
	for in, want := range map[string]string{
		"make":          "\x1b[32;1m$ make\x1b[0;m",
		"if x; \nthen":  "\x1b[32;1m$ if x; # collapsed multi-line command\x1b[0;m",
		"echo\r\necho2": "\x1b[32;1m$ echo # collapsed multi-line command\x1b[0;m",
	} {
		if got := joblog.Command(in); got != want {
			t.Errorf("Command(%q) = %q, want %q", in, got, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("pipe is gone") }

func TestErrorSticks(t *testing.T) {
	w := joblog.New(broken{}, options(job.LogOptions{}))
	w.Info("x")
	if w.Err() == nil || w.Flush() == nil || w.EndOutput() == nil {
		t.Error("an error of the Writer behind is lost")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write goes on after an error")
	}
}

// FuzzSplit: with entries ended by line feeds alone, the log does not depend on
// how the output is cut into writes.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a secret\n\xe2\x82\xac\xff glpat-abc\nend"), uint8(3), true)
	f.Fuzz(func(t *testing.T, text []byte, size uint8, stamps bool) {
		text = bytes.ReplaceAll(text, []byte("\r"), nil)
		opts := options(job.LogOptions{Timestamps: stamps, Masks: []string{"secret"}, MaskPrefixes: []string{"glpat-"}})
		var whole, parts bytes.Buffer
		w := joblog.New(&whole, opts)
		w.Write(text)
		w.Flush()
		w = joblog.New(&parts, opts)
		for rest := text; len(rest) > 0; {
			n := min(int(size%9)+1, len(rest))
			w.Write(rest[:n])
			rest, size = rest[n:], size*5+1
		}
		w.Flush()
		if !bytes.Equal(whole.Bytes(), parts.Bytes()) {
			t.Errorf("%q as a whole gives %q, in parts %q", text, whole.Bytes(), parts.Bytes())
		}
		if !utf8.Valid(whole.Bytes()) {
			t.Errorf("%q gives invalid UTF-8: %q", text, whole.Bytes())
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	line := "2026-01-01 building package example.com/group/project/pkg/glossary with go build -o bin/x ./cmd/x\n"
	text := []byte(strings.Repeat(line, 10<<20/len(line)))
	for b.Loop() {
		w := joblog.New(io.Discard, joblog.Options{LogOptions: job.LogOptions{
			Timestamps: true, Sections: true, Masks: []string{"s3cret-value", "building-x"}, MaskPrefixes: []string{"glpat-", "gldt-"},
		}})
		for part := text; len(part) > 0; part = part[min(len(part), 32<<10):] {
			w.Write(part[:min(len(part), 32<<10)])
		}
		w.EndOutput()
	}
	b.SetBytes(int64(len(text)))
}
