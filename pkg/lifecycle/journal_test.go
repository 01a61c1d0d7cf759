package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// A ground is what outlives a process: what GitLab may have got, and the record.
type ground struct {
	sent   bytes.Buffer
	pieces []piece
}

func (g *ground) save(p piece) error {
	p.Text = bytes.Clone(p.Text)
	if p.Anew != "" {
		g.pieces = nil
	}
	g.pieces = append(g.pieces, p)
	return nil
}

// frames is what a pod prints: lines with their times, in frames.
func frames(n int) []string {
	list := []string{"2026-07-26T09:15:04.123456Z 00O section_start:1785057304:prepare_script\r\x1b[0K\n"}
	for i := range n {
		list = append(list, fmt.Sprintf("2026-07-26T09:15:05.%06dZ 01O line %d\n", i, i))
	}
	return list
}

// talk has a process relay frames from the from-th on, with lines of its own and
// of a service's at random between them.
func talk(t *testing.T, r *rand.Rand, l *ownLines, pod []string, until int) {
	t.Helper()
	services := l.services(&job.Plan{Services: []job.Service{{Image: job.Image{Name: "redis"}}}})
	for i, text := range pod[:until] {
		switch r.IntN(6) {
		case 0:
			services.Print(0, fmt.Sprint(i), fmt.Sprintf("service %d", i))
		case 1:
			services.Warning(0, fmt.Sprintf("trouble %d", i))
		case 2:
			l.look()
		case 3:
			if i == 0 {
				l.Info("Waiting for a node")
			}
		}
		if _, err := l.jobLog().Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournalIsRepeated: wherever a process dies, and however much of what it has
// sent GitLab got, the next one makes a log that begins with the same bytes, holds
// all that the pod has printed, and no line of the daemon's twice.
func TestJournalIsRepeated(t *testing.T) {
	options := job.LogOptions{Timestamps: true, Sections: true}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		pod := frames(20)
		var g ground
		first := newOwnLines(&g.sent, options)
		first.log.Plain("Running with runnerd")
		first.prepare("kubernetes")
		if err := first.journal.record(g.save, g.save); err != nil {
			t.Fatal(err)
		}
		talk(t, r, first, pod, r.IntN(len(pod)+1))
		if r.IntN(4) == 0 {
			if err := first.close(job.Outcome{State: job.Failed}, false); err != nil {
				t.Fatal(err)
			}
		}

		got := g.sent.Bytes()[:r.IntN(g.sent.Len()+1)]
		var out bytes.Buffer
		next := newOwnLines(&out, options)
		if err := next.repeatFrom(g.pieces, int64(len(got)), g.save); err != nil {
			t.Fatal(err)
		}
		talk(t, r, next, pod, len(pod))
		if lost, err := next.journal.complete(func() int64 { return 0 }); lost != 0 || err != nil {
			t.Fatalf("seed %d: complete: %d lost, %v", seed, lost, err)
		}
		next.endPod()
		if err := next.close(job.Outcome{State: job.Success}, false); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(out.Bytes(), got) {
			t.Fatalf("seed %d: the log does not begin with what GitLab has\nhas: %q\nlog: %q", seed, got, out.Bytes())
		}
		rest := out.String()
		for _, line := range pod {
			_, behind, ok := strings.Cut(rest, line)
			if !ok {
				t.Fatalf("seed %d: %q is missing or in the wrong place in %q", seed, line, out.String())
			}
			rest = behind
		}
		for _, once := range []string{"Running with", "section_start:[0-9]+:prepare_executor", "section_end:[0-9]+:prepare_executor"} {
			if n := len(regexp.MustCompile(once).FindAllString(out.String(), -1)); n != 1 {
				t.Fatalf("seed %d: %q is %d times in %q", seed, once, n, out.String())
			}
		}
	}
}

// TestJournalSendsNothingUnrecorded: bytes of the daemon's own and what comes
// behind them wait for the record.
func TestJournalSendsNothingUnrecorded(t *testing.T) {
	var out bytes.Buffer
	j := newJournal(&out)
	fmt.Fprint(j, "before ")
	broken := errors.New("the process ends")
	fail := false
	var saved []piece
	save := func(p piece) error {
		if fail {
			return broken
		}
		saved = append(saved, p)
		return nil
	}
	begin := func(p piece) error {
		fmt.Fprint(j, "meanwhile ")
		if string(p.Text) != "before " || out.String() != "before " {
			t.Errorf("recorded %q, sent %q", p.Text, out.String())
		}
		return nil
	}
	if err := j.record(begin, save); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(j, "own ")
	if out.String() != "before " {
		t.Errorf("sent %q", out.String())
	}
	if _, err := j.pod(nil, []byte("pod ")); err != nil {
		t.Fatal(err)
	}
	if out.String() != "before meanwhile own pod " || len(saved) != 1 || string(saved[0].Text) != "meanwhile own " {
		t.Errorf("sent %q, recorded %+v", out.String(), saved)
	}
	fail = true
	fmt.Fprint(j, "never ")
	if _, err := j.pod(nil, []byte("pod")); !errors.Is(err, broken) {
		t.Errorf("pod: %v, want the record's error", err)
	}
	if err := j.finish(ending{}); !errors.Is(err, broken) {
		t.Errorf("finish: %v, want the record's error", err)
	}
	if strings.Contains(out.String(), "never") {
		t.Errorf("sent %q", out.String())
	}
}

// TestJournalWithoutARecord: what the record does not take for good is sent.
func TestJournalWithoutARecord(t *testing.T) {
	var out bytes.Buffer
	j := newJournal(&out)
	refuse := func(piece) error { return fmt.Errorf("%w: too large", executor.ErrUnrecorded) }
	if err := j.record(func(piece) error { return nil }, refuse); err != nil || !j.recorded() {
		t.Fatal(err)
	}
	fmt.Fprint(j, "own ")
	if _, err := j.pod([]byte("before "), []byte("pod ")); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(j, "end")
	if out.String() != "own before pod end" || j.recorded() {
		t.Errorf("sent %q, recorded %t", out.String(), j.recorded())
	}
}

// TestJournalThatCannotBeRepeated: the pod is gone, or has less than GitLab.
func TestJournalThatCannotBeRepeated(t *testing.T) {
	pieces := []piece{
		{Text: []byte("head ")},
		{At: 4, Off: 9, Text: []byte("mid ")},
		{At: 8, Off: 17, Text: []byte("end")},
	}
	const whole = "head pod1mid pod2end"
	for _, tt := range []struct {
		name  string
		known int    // bytes of whole at GitLab
		pod   string // what can be read
		want  string // the log at GitLab
		lost  int64
	}{
		{"all is there", 7, "pod1pod2", whole, 0},
		{"no pod, GitLab has all", len(whole), "", whole, 0},
		{"no pod, GitLab lacks the end", 17, "", whole, 0},
		{"no pod, GitLab lacks a part", 15, "", "head pod1mid poend", 2},
		{"no pod, GitLab has the beginning", 5, "", "head mid end", 8},
		{"a part of the pod's", 5, "pod1p", "head pod1mid pend", 3},
		{"GitLab is within an own piece", 18, "pod1", "head pod1mid pod2end", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			j := newJournal(&out)
			var list []piece
			for _, p := range pieces {
				p.Text = bytes.Clone(p.Text)
				list = append(list, p)
			}
			if _, err := j.repeatFrom(list, int64(tt.known), func(piece) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if _, err := j.pod(nil, []byte(tt.pod)); err != nil {
				t.Fatal(err)
			}
			written := func() int64 { return int64(out.Len()) }
			lost, err := j.complete(func() int64 {
				missing := max(0, int64(tt.known)-written())
				io.WriteString(&out, whole[written():written()+missing])
				return missing
			})
			if lost != tt.lost || err != nil {
				t.Errorf("%d bytes lost, %v, want %d", lost, err, tt.lost)
			}
			if out.String() != tt.want {
				t.Errorf("log %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// TestJournalOfAJobThatBeganAnew: the first pod's log cannot be read again, and is
// in the record.
func TestJournalOfAJobThatBeganAnew(t *testing.T) {
	options := job.LogOptions{Timestamps: true, Sections: true}
	one, two := frames(5), frames(9)
	for begun := range 3 { // frames of the first pod before its image is known to be absent
		for died := range len(two) + 1 {
			var g ground
			first := newOwnLines(&g.sent, options)
			first.log.Plain("Running with runnerd")
			first.prepare("kubernetes")
			if err := first.journal.record(g.save, g.save); err != nil {
				t.Fatal(err)
			}
			write := func(l *ownLines, list []string) {
				t.Helper()
				for _, text := range list {
					if _, err := l.jobLog().Write([]byte(text)); err != nil {
						t.Fatal(err)
					}
				}
			}
			write(first, one[:begun])
			first.Warn("no such image; trying again")
			if err := first.again("build"); err != nil {
				t.Fatal(err)
			}
			write(first, two[:died])
			for got := 0; got <= g.sent.Len(); got += 7 {
				var out bytes.Buffer
				next := newOwnLines(&out, options)
				if err := next.repeatFrom(g.pieces, int64(got), g.save); err != nil {
					t.Fatal(err)
				}
				write(next, two)
				if !bytes.HasPrefix(out.Bytes(), g.sent.Bytes()) {
					t.Fatalf("%d frames, died behind %d:\n%q\ndoes not begin with\n%q", begun, died, out.Bytes(), g.sent.Bytes())
				}
			}
		}
	}
}
