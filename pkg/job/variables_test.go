package job

import (
	"path"
	"strings"
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

// FuzzExpand holds Expand against the rules as gitlab-runner has them, written
// down once more, a character at a time.
func FuzzExpand(f *testing.F) {
	f.Add("a${B}$C$$", "B", "$C")
	f.Add("${", "A", "}")
	f.Add("$12$*$A_1${A b}${}$é", "A_1", "x")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		vars := []Variable{{Key: key, Value: "shadowed"}, {Key: key, Value: value}, {Key: "FILE", Value: value, File: true}}
		got := Expand(text, vars, "/tmp")
		if want := expandSlowly(text, vars); got != want {
			t.Errorf("Expand(%q, %q=%q) = %q, want %q", text, key, value, got, want)
		}
		for _, v := range expandAll([]Variable{{Key: "V", Value: text}, vars[0], vars[1], vars[2]}, "/tmp") {
			if v.Key == "V" && key != "V" && !strings.Contains(text, "$V") && !strings.Contains(text, "${V}") && v.Value != got {
				t.Errorf("expandAll gives %q, Expand %q", v.Value, got)
			}
		}
	})
}

func expandSlowly(text string, vars []Variable) string {
	var out strings.Builder
	letter := func(c byte) bool {
		return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	value := func(name string) string {
		v, found := Lookup(vars, name)
		switch {
		case name == "$":
			return "$"
		case found && v.File:
			return path.Join("/tmp", name)
		}
		return v.Value
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		switch next := text[i+1]; {
		case next == '{':
			end := strings.IndexByte(text[i+2:], '}')
			special := i+3 < len(text) && strings.IndexByte("*#$@!?-0123456789", text[i+2]) >= 0 && text[i+3] == '}'
			switch {
			case special:
				out.WriteString(value(text[i+2 : i+3]))
				i += 3
			case end < 0:
				i++ // "${" is dropped
			default:
				if end > 0 {
					out.WriteString(value(text[i+2 : i+2+end]))
				}
				i += 2 + end
			}
		case strings.IndexByte("*#$@!?-0123456789", next) >= 0:
			out.WriteString(value(string(next)))
			i++
		case letter(next):
			end := i + 1
			for end < len(text) && letter(text[end]) {
				end++
			}
			out.WriteString(value(text[i+1 : end]))
			i = end - 1
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}
