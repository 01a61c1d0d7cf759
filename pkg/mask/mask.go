package mask

import (
	"io"
	"slices"
)

const replacement = "[MASKED]"

// DefaultPrefixes are the prefixes of GitLab's own tokens: personal access,
// OAuth application, deploy, runner authentication, CI job, runner
// registration, trigger, feed, incoming mail, agent, SCIM, feature flag client
// and session tokens.
func DefaultPrefixes() []string {
	return []string{
		"glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glrtr-", "glptt-", "glft-",
		"glimt-", "glagent-", "glsoat-", "glffct-", "_gitlab_session=", "gltok-",
	}
}

// Options say what to mask besides URL query values.
type Options struct {
	// Phrases are replaced as a whole. White space around them does not count;
	// empty ones are ignored. Where two overlap, what they cover together becomes
	// one "[MASKED]", so that no rest of the second stays readable.
	Phrases []string

	// Prefixes stay; the run of letters, digits and "-._=" behind one is replaced.
	Prefixes []string
}

// A Writer masks what is written to it. It is not safe for concurrent use.
type Writer struct {
	out     io.Writer
	phrases []string
	stages  []stage
	bufs    [][]byte // the output of each stage, used again
}

// A stage replaces one kind of secret. It appends to dst what is decided of
// the text so far; final says that no more text comes.
type stage interface {
	mask(dst, text []byte, final bool) []byte
}

// New returns a Writer that masks to out.
func New(out io.Writer, opts Options) *Writer {
	stages := make([]stage, 0, 3)
	if words := newWords(opts.Phrases); words != nil {
		stages = append(stages, &phrases{words: words})
	}
	stages = append(stages, &query{})
	if words := newWords(opts.Prefixes); words != nil {
		stages = append(stages, &tokens{words: words})
	}
	return &Writer{out: out, phrases: slices.Clone(opts.Phrases), stages: stages, bufs: make([][]byte, len(stages))}
}

// Add masks one more phrase, in what is written from now on and in what is
// still held back.
func (w *Writer) Add(phrase string) {
	w.phrases = append(w.phrases, phrase)
	words := newWords(w.phrases)
	if words == nil {
		return
	}
	if first, ok := w.stages[0].(*phrases); ok {
		first.words = words
		return
	}
	w.stages = slices.Insert(w.stages, 0, stage(&phrases{words: words}))
	w.bufs = slices.Insert(w.bufs, 0, nil)
}

// chunk bounds the buffers between the stages.
const chunk = 32 << 10

// Write masks p. The count is that of p's bytes, not of what came out; the
// error is the one of the Writer behind.
func (w *Writer) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(chunk, len(p)-done)
		if err := w.pass(p[done:done+n], false); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Flush ends the text: what was held back is written, and what comes next is
// looked at anew.
func (w *Writer) Flush() error { return w.pass(nil, true) }

func (w *Writer) pass(text []byte, final bool) error {
	for i, s := range w.stages {
		w.bufs[i] = s.mask(w.bufs[i][:0], text, final)
		text = w.bufs[i]
	}
	if len(text) == 0 {
		return nil
	}
	_, err := w.out.Write(text)
	return err
}
