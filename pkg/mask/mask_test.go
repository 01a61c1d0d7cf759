package mask_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/mask"
)

func TestMask(t *testing.T) {
	tests := []struct {
		name    string
		phrases []string
		in      string
		want    string
	}{
		{name: "phrase", phrases: []string{"s3cret-value"}, in: "a s3cret-value b", want: "a [MASKED] b"},
		{name: "phrases side by side", phrases: []string{"secret"}, in: "secretsecret", want: "[MASKED][MASKED]"},
		{name: "the longest phrase wins", phrases: []string{"secret", "secret-long"}, in: "secret-long secret-lon", want: "[MASKED] [MASKED]-lon"},
		{name: "overlapping phrases become one", phrases: []string{"abcdef", "defghi"}, in: "xabcdefghix", want: "x[MASKED]x"},
		{name: "a phrase inside another", phrases: []string{"abc", "bcdefgh"}, in: "abcdefgh", want: "[MASKED]"},
		{name: "a false start", phrases: []string{"aab"}, in: "aaab", want: "a[MASKED]"},
		{name: "white space around a phrase does not count", phrases: []string{" pass\n", "", " "}, in: "pass word", want: "[MASKED] word"},
		{name: "several lines", phrases: []string{"one\ntwo"}, in: "one\ntwo\none\n", want: "[MASKED]\none\n"},
		{name: "single byte", phrases: []string{"#"}, in: "a#b##", want: "a[MASKED]b[MASKED][MASKED]"},
		{name: "query value", in: "GET /x?private_token=abc&a=b", want: "GET /x?private_token=[MASKED]&a=b"},
		{name: "query names ignore case", in: "?a=1&X-Amz-Signature=0af?x&RSS_Token=1 2", want: "?a=1&X-Amz-Signature=[MASKED]?x&RSS_Token=[MASKED] 2"},
		{name: "query names match as a whole", in: "?my_private_token=a&private_tokens=b&private_token", want: "?my_private_token=a&private_tokens=b&private_token"},
		{name: "two marks", in: "??&rss_token=a\nb", want: "??&rss_token=[MASKED]\nb"},
		{name: "token", in: "use glpat-Ab_1.x=y, please", want: "use glpat-[MASKED], please"},
		{name: "token without a rest", in: "glpat- glpat-", want: "glpat- glpat-"},
		{name: "token inside a word", in: "xglrt-abc", want: "xglrt-[MASKED]"},
		{name: "prefix inside a token", in: "gldt-glpat-abc", want: "gldt-[MASKED]"},
		{name: "half a prefix", in: "glpa glpglpat-1", want: "glpa glpglpat-[MASKED]"},
		{name: "session", in: "Cookie: _gitlab_session=abc;", want: "Cookie: _gitlab_session=[MASKED];"},
		{name: "phrase before token", phrases: []string{"abcdefgh"}, in: "glpat-abcdefgh", want: "glpat-[MASKED]"},
		{name: "phrase before query", phrases: []string{"abcdefgh"}, in: "?rss_token=abcdefgh&x", want: "?rss_token=[MASKED]&x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := mask.Options{Phrases: tt.phrases, Prefixes: mask.DefaultPrefixes()}
			if got := run(t, opts, []byte(tt.in)); string(got) != tt.want {
				t.Errorf("masking %q gives %q, want %q", tt.in, got, tt.want)
			}
			if got := run(t, opts, bytes.SplitAfter([]byte(tt.in), nil)...); string(got) != tt.want {
				t.Errorf("masking %q byte by byte gives %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func run(t testing.TB, opts mask.Options, writes ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := mask.New(&out, opts)
	for _, p := range writes {
		if n, err := w.Write(p); n != len(p) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", p, n, err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatalf("Flush: %v", err)
	}
	return out.Bytes()
}

func TestHoldsBackOnlyWhatMayBeASecret(t *testing.T) {
	var out bytes.Buffer
	w := mask.New(&out, mask.Options{Phrases: []string{"s3cret"}, Prefixes: mask.DefaultPrefixes()})
	for _, step := range []struct{ write, shown string }{
		{"hello s3", "hello "},
		{"x", "hello s3x"},
		{" s3cre", "hello s3x "},
		{"t", "hello s3x [MASKED]"},
		{" glpa", "hello s3x [MASKED] "},
		{"t-", "hello s3x [MASKED] glpat-"},
		{"abc", "hello s3x [MASKED] glpat-[MASKED]"},
		{"?rss_token=", "hello s3x [MASKED] glpat-[MASKED]?rss_token=[MASKED]"},
	} {
		if _, err := io.WriteString(w, step.write); err != nil {
			t.Fatal(err)
		}
		if out.String() != step.shown {
			t.Fatalf("after %q: %q, want %q", step.write, out.String(), step.shown)
		}
	}
}

func TestFlushStartsAnew(t *testing.T) {
	var out bytes.Buffer
	w := mask.New(&out, mask.Options{Phrases: []string{"s3cret"}, Prefixes: mask.DefaultPrefixes()})
	for _, text := range []string{"s3c", "ret glpat-", "abc ?rss_token=", "x"} {
		io.WriteString(w, text)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "s3cret glpat-abc ?rss_token=[MASKED]x"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestWriteReportsTheErrorBehind(t *testing.T) {
	w := mask.New(fullDisk{}, mask.Options{})
	if n, err := w.Write([]byte("x")); err == nil || n != 0 {
		t.Errorf("Write = %d, %v, want 0 and an error", n, err)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("a secret glpat-abc ?rss_token=x&y abcabcd", "secret", "abcabc", uint8(3))
	f.Add("aaaaaaab", "aaa", "aab", uint8(1))
	f.Add("?private_token=?private_token=glpat-glpat-x", "token", "en=?", uint8(2))
	f.Fuzz(func(t *testing.T, text, one, two string, size uint8) {
		opts := mask.Options{Phrases: []string{one, two}, Prefixes: mask.DefaultPrefixes()}
		whole := run(t, opts, []byte(text))
		var parts [][]byte
		for rest := []byte(text); len(rest) > 0; {
			n := min(int(size%7)+1, len(rest))
			parts = append(parts, rest[:n])
			rest = rest[n:]
			size = size*5 + 1
		}
		if got := run(t, opts, parts...); !bytes.Equal(got, whole) {
			t.Errorf("%q in parts %q gives %q, as a whole %q", text, parts, got, whole)
		}
		for _, phrase := range []string{one, two} {
			phrase = strings.TrimSpace(phrase)
			// "[MASKED]" itself may hold or complete a phrase.
			if len(phrase) > 0 && !strings.ContainsAny(phrase, "[MASKED]") && bytes.Contains(whole, []byte(phrase)) {
				t.Errorf("%q is readable in %q", phrase, whole)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	line := "2026-01-01 building package example.com/group/project/pkg/glossary with go build -o bin/x ./cmd/x\n"
	text := []byte(strings.Repeat(line, 10<<20/len(line)))
	phrases := make([]string, 0, 30)
	for i := range 30 {
		phrases = append(phrases, "s3cret-value-of-some-length-"+strings.Repeat("x", i), "building-"+strings.Repeat("y", i))
	}
	w := mask.New(io.Discard, mask.Options{Phrases: phrases, Prefixes: mask.DefaultPrefixes()})
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w.Write(text)
	}
}

func BenchmarkWriteRepetitive(b *testing.B) {
	text := bytes.Repeat([]byte("a"), 1<<20)
	w := mask.New(io.Discard, mask.Options{Phrases: []string{strings.Repeat("a", 1000) + "b", strings.Repeat("a", 4000) + "b"}})
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w.Write(text)
	}
}
