package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIndexLines(t *testing.T) {
	text := strings.Join([]string{
		`top = 1`, // 1
		`"quoted key" = 'x' # comment = 2`,
		`a.b . "c.d" = """`, // 3
		`fake = 1`,
		`[fake]`,
		`\""""" # ends with two quotes of its own`,
		`list = [ # 7`,
		`  "x", 'y]',`,
		`  [1, 2],`,
		`  { k = "}", deep.er = [ 3,`,
		`4] }, ]`,
		`[t] # 12`,
		`date = 1979-05-27 07:32:32Z # c`,
		`[[arr]] # 14`,
		`k = 1`,
		`[arr.sub."x y"] # 16`,
		`k = 1`,
		`[[arr]]`,
		` [[arr.in]] # 19`,
		` k = 1`,
		` [[arr.in]]`,
		` k = 1`,
		`[arr.in.deep] # 23`,
		`k = 1`,
	}, "\n")
	if _, err := parseTOML("test", []byte(text)); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		`top`: 1, `"quoted key"`: 2, `a.b`: 3, `a.b."c.d"`: 3, `fake`: 0, `list`: 7, `list[0]`: 8, `list[1]`: 8, `list[2][1]`: 9,
		`list[3].k`: 10, `list[3].deep.er`: 10, `list[3].deep.er[1]`: 11, `t`: 12, `t.date`: 13, `arr`: 14, `arr[0]`: 14, `arr[0].k`: 15,
		`arr[0].sub."x y"`: 16, `arr[0].sub."x y".k`: 17, `arr[1]`: 18, `arr[1].in[0]`: 19, `arr[1].in[0].k`: 20, `arr[1].in[1].k`: 22,
		`arr[1].in[1].deep.k`: 24, `arr[1].in[1].missing`: 21, `t."not there"`: 12, `missing`: 0,
	}
	x := newIndex(text)
	got := map[string]int{}
	for path := range want {
		got[path] = x.line(path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// FuzzIndex holds the index against the TOML package: it finds every key of a
// valid text, and its values stand where the index says.
func FuzzIndex(f *testing.F) {
	rich, err := os.ReadFile(filepath.Join("testdata", "gitlab-runner.toml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(rich))
	f.Add("a = [{b=1},{b=[\n{c='''x\n'''}]}]\n[[t]]\n[t.u]\nv=\"\\u00e9\"\r\n[[t]]\n[\"x\\ty\".z]\n")
	f.Add("a=\"\"\"\\\"\"\"\"\"\nb=''''x'''''\n'é'.\"\" = 1979-05-27T07:32:32.5-07:00")
	f.Fuzz(func(t *testing.T, text string) {
		x := newIndex(text)
		tables, err := parseTOML("fuzz", []byte(text))
		if err != nil {
			return
		}
		checkIndexed(t, x, text, "", reflect.ValueOf(tables))
	})
}

func checkIndexed(t *testing.T, x *index, text, path string, v reflect.Value) {
	t.Helper()
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if path != "" {
		at, ok := x.keys[path]
		if !ok {
			t.Fatalf("path %s is not in the index of %q", path, text)
		}
		if at.end > 0 {
			got, err := parseTOML("value", []byte("v = "+text[at.start:at.end]+"\n"))
			if err != nil || !reflect.DeepEqual(got["v"], v.Interface()) {
				t.Fatalf("path %s: the value at %d:%d is %q (%v), want %#v", path, at.start, at.end, text[at.start:at.end], err, v.Interface())
			}
		}
	}
	switch v.Kind() {
	case reflect.Map:
		for _, key := range v.MapKeys() {
			checkIndexed(t, x, text, joinPath(path, key.String()), v.MapIndex(key))
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkIndexed(t, x, text, elementPath(path, i), v.Index(i))
		}
	}
}
