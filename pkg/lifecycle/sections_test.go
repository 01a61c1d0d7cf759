package lifecycle

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOpenSections(t *testing.T) {
	const (
		a    = "section_start:1700000000:get_sources\r\x1b[0Ktitle\n"
		b    = "section_start:1700000000:mine[collapsed=true]\r\x1b[0Kuser's\n"
		endA = "section_end:1700000001:get_sources\r\x1b[0K"
	)
	tests := []struct {
		name string
		log  string
		want []string
	}{
		{"none", "text\nsection_start is a word\n", nil},
		{"open", "x" + a + "more\n", []string{"get_sources"}},
		{"ended", a + "more\n" + endA, nil},
		{"nested", a + b, []string{"get_sources", "mine"}},
		{"outer one ended", a + b + endA, []string{"mine"}},
		{"end without a start", endA + "x", nil},
		{"marker cut off", a + "section_end:1700000001:get_sou", []string{"get_sources"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.log); size++ { // however the bytes are cut
				var s openSections
				for i := 0; i < len(tt.log); i += size {
					s.see([]byte(tt.log[i:min(i+size, len(tt.log))]))
				}
				if diff := cmp.Diff(tt.want, append([]string(nil), s.names...)); diff != "" {
					t.Fatalf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}
