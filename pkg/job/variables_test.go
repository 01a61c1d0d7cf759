package job

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	vars := []Variable{
		{Key: "A", Value: "old"},
		{Key: "A", Value: "1"},
		{Key: "B", Value: "<$A>"},
		{Key: "KEY", Value: "secret text", File: true},
	}
	tests := []struct{ name, in, want string }{
		{"name", "$A", "1"},
		{"braces", "x${A}y", "x1y"},
		{"last of a key wins", "$A$A", "11"},
		{"one level deep", "$B", "<$A>"},
		{"file variable yields its path", "$KEY", "/b/p.tmp/KEY"},
		{"unknown is empty", "[$NOPE]", "[]"},
		{"double dollar", "$$A", "$A"},
		{"special parameters are empty", "$*$#$@$!$?$-.", "."},
		{"one digit only", "$12", "2"},
		{"shell default is a name that does not exist", "[${A:-b}]", "[]"},
		{"empty braces are dropped", "a${}b", "ab"},
		{"lone dollar stays", "a$ b$", "a$ b$"},
		{"dollar before other text stays", "a$/b", "a$/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Expand(tt.in, vars, "/b/p.tmp"); got != tt.want {
				t.Errorf("Expand(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestExpandAll(t *testing.T) {
	got := expandAll([]Variable{
		{Key: "A", Value: "first"},
		{Key: "URL", Value: "pg://$PASSWORD@db"},
		{Key: "PASSWORD", Value: "s3cr3t$Horse", Raw: true, Masked: true},
		{Key: "A", Value: "$URL"},
		{Key: "", Value: "nameless"},
	}, "/tmp")
	want := []Variable{
		{Key: "A", Value: "pg://$PASSWORD@db"},
		{Key: "URL", Value: "pg://s3cr3t$Horse@db"},
		{Key: "PASSWORD", Value: "s3cr3t$Horse", Raw: true, Masked: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("expandAll (-want +got):\n%s", diff)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("a${B}$C$$", "B", "$C")
	f.Add("${", "A", "}")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		Expand(text, []Variable{{Key: key, Value: value}}, "/tmp")
		expandAll([]Variable{{Key: key, Value: text}, {Key: "X", Value: value, File: true}}, "/tmp")
	})
}
