package joblog_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
)

var missingLine = regexp.MustCompile(`\x1b\[33;1m(\d+) bytes of the job's log are missing here; its last (\d+) bytes follow\.\x1b\[0;m\n`)

// limited returns a log of n numbered lines under limit, and the same without.
func limited(limit int64, stamps bool, n int) (got, all string) {
	var out, whole bytes.Buffer
	for buf, max := range map[*bytes.Buffer]int64{&out: limit, &whole: 0} {
		w := joblog.New(buf, options(job.LogOptions{Timestamps: stamps, LimitBytes: max}))
		for i := range n {
			fmt.Fprintf(w, "line %04d ééé\n", i)
		}
		w.EndOutput()
		w.Info("Job succeeded")
	}
	return out.String(), whole.String()
}

func TestLimitKeepsHeadAndTail(t *testing.T) {
	for _, stamps := range []bool{false, true} {
		t.Run(fmt.Sprintf("timestamps %t", stamps), func(t *testing.T) {
			const limit = 4000
			got, all := limited(limit, stamps, 1000)
			head, rest, ok := strings.Cut(got, "\x1b[33;1mJob's log exceeded limit of 4000 bytes.\x1b[0;m\n")
			if !ok {
				t.Fatalf("no notice in %q", got)
			}
			if stamps {
				head = strings.TrimSuffix(head, stamp+"00O ")
			}
			where := missingLine.FindStringSubmatchIndex(rest)
			if where == nil {
				t.Fatalf("no line about missing bytes in %q", rest)
			}
			missing, _ := strconv.Atoi(rest[where[2]:where[3]])
			kept, _ := strconv.Atoi(rest[where[4]:where[5]])
			tail := rest[where[1]:]

			shown := strings.TrimSuffix(head, "\n") // the cut may add one
			if !strings.HasPrefix(all, shown) || len(shown) > limit || len(shown) < limit-64 {
				t.Errorf("head of %d bytes is not the beginning of the log", len(shown))
			}
			if !strings.HasSuffix(all, tail) {
				t.Errorf("tail %q is not the end of the log", tail)
			}
			final := tail[strings.LastIndex(tail, "line 0999 ééé\n")+len("line 0999 ééé\n"):]
			if got := len(tail) - len(final); got != kept || kept > limit/4 || kept < limit/4-64 {
				t.Errorf("tail has %d bytes, the log says %d, want about %d", got, kept, limit/4)
			}
			headSize := len(head)
			if !strings.HasPrefix(all, head) {
				headSize--
			}
			if sum := headSize + missing + len(tail); sum != len(all) {
				t.Errorf("head %d + missing %d + tail %d = %d bytes, the log has %d", headSize, missing, len(tail), sum, len(all))
			}
			if !utf8.ValidString(got) {
				t.Error("a character is cut")
			}
		})
	}
}

func TestLogAtTheLimitIsWhole(t *testing.T) {
	for _, stamps := range []bool{false, true} {
		_, all := limited(0, stamps, 100)
		output := strings.LastIndex(all, "line 0099 ééé\n") + len("line 0099 ééé\n")
		if got, _ := limited(int64(output), stamps, 100); got != all {
			t.Errorf("timestamps %t: a log as long as its limit is changed: %q", stamps, got)
		}
		got, _ := limited(int64(output-20), stamps, 100)
		if !strings.Contains(got, "exceeded limit") || strings.Contains(got, "missing here") || !strings.Contains(got, "0099 ééé\n") {
			t.Errorf("timestamps %t: a log just past its limit: %q, want notice and everything", stamps, got)
		}
	}
}

func TestLimitOnOneLine(t *testing.T) {
	var out bytes.Buffer
	w := joblog.New(&out, options(job.LogOptions{LimitBytes: 1001}))
	for range 1000 {
		w.Write([]byte("ééé"))
	}
	if err := w.EndOutput(); err != nil {
		t.Fatal(err)
	}
	// 6000 bytes and the line feed at the end; the head ends before half an é.
	const want = "4752 bytes of the job's log are missing here; its last 249 bytes follow"
	if !utf8.Valid(out.Bytes()) || !strings.Contains(out.String(), want) {
		t.Errorf("log %q", out.String())
	}
}

func TestTailDoesNotContinueWhatIsMissing(t *testing.T) {
	var out bytes.Buffer
	w := joblog.New(&out, options(job.LogOptions{Timestamps: true, LimitBytes: 80_000}))
	w.Write(bytes.Repeat([]byte("x"), 300_000))
	w.EndOutput()
	_, rest, _ := strings.Cut(out.String(), "follow.\x1b[0;m\n")
	if !strings.HasPrefix(rest, stamp+"01O xxx") || !strings.Contains(rest, "\n"+stamp+"01O+xxx") {
		t.Errorf("tail begins %.80q, want a new line first, continuations behind", rest)
	}
}
