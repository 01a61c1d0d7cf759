package markdown

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const document = "# One `code`: two\n\n" +
	"See [policy](policy.md#facts), [web](https://example.com), `[no](link.md)` and [`x`](#here).\n\n" +
	"<!-- label: a b -->\n\n```toml\nk = 1\n# no heading\n[no](link.md)\n```\n\n" +
	"# Here\n# Here\n\n```\nplain\n```\n" +
	"<!-- generated: t -->\nold\n<!-- end -->\nbehind\n"

func TestBlocks(t *testing.T) {
	want := []Block{
		{Line: 7, Language: "toml", Label: "label: a b", Text: "k = 1\n# no heading\n[no](link.md)\n"},
		{Line: 16, Text: "plain\n"},
	}
	if d := cmp.Diff(want, Blocks(document)); d != "" {
		t.Error(d)
	}
}

func TestLinks(t *testing.T) {
	want := []Link{{Line: 3, Target: "policy.md#facts"}, {Line: 3, Target: "#here"}}
	if d := cmp.Diff(want, Links(document)); d != "" {
		t.Error(d)
	}
}

func TestAnchors(t *testing.T) {
	want := map[string]bool{"one-code-two": true, "here": true, "here-1": true}
	if d := cmp.Diff(want, Anchors(document)); d != "" {
		t.Error(d)
	}
}

func TestReplace(t *testing.T) {
	got, err := Replace("a\n<!-- generated: t -->\nold\n<!-- end -->\nb\n", "t", "new\n")
	if want := "a\n<!-- generated: t -->\n\nnew\n\n<!-- end -->\nb\n"; err != nil || got != want {
		t.Errorf("Replace returns %q, %v; want %q", got, err, want)
	}
	if _, err := Replace(document, "other", "new"); err == nil {
		t.Error("Replace finds a part that is not there")
	}
}
