//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// forge puts an archive of these entries in the place of the cache that is
// stored, with a head that fits: whoever can write to the bucket can do that.
func (o *objects) forge(raw []byte) {
	o.t.Helper()
	encoder, err := archive.NewEncoder(archive.Fastest, 1)
	if err != nil {
		o.t.Fatal(err)
	}
	control, err := archive.Control{Version: archive.Version}.Encode()
	if err != nil {
		o.t.Fatal(err)
	}
	segment := encoder.Append(nil, archive.Announce{Kind: archive.KindControl}, control)
	segment = encoder.Append(segment, archive.Announce{Kind: archive.KindEntries}, raw)
	segment = encoder.Append(segment, archive.Announce{Kind: archive.KindEnd, Ordinal: 2, Offset: uint64(len(raw))}, make([]byte, 1024))
	sum := sha256.Sum256(segment)

	o.write(o.segments()[0], segment)
	o.change(o.head(), func(text []byte) []byte {
		var head map[string]any
		if err := json.Unmarshal(text, &head); err != nil {
			o.t.Fatal(err)
		}
		base := head["base"].(map[string]any)
		base["seg"] = [][]any{{len(segment), hex.EncodeToString(sum[:])}}
		base["raw"], base["entries"] = len(raw), 2
		delete(head, "bad") // what an earlier restore has found out
		text, err := json.Marshal(head)
		if err != nil {
			o.t.Fatal(err)
		}
		return text
	})
}

// tarOf packs headers, with a little content in each file.
func tarOf(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("evil")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Archives that somebody with access to the bucket has made: nothing of them
// gets out of the project, and the job goes on.
func TestCacheHostileArchives(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Mkdir(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	file := func(name string) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: name} }
	link := func(name, target string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
	}
	tests := map[string][]byte{
		"dot dot":             tarOf(t, file("tree/a"), file("../../../../../../../.."+outside+"/x")),
		"absolute":            tarOf(t, file("tree/a"), file(outside+"/x")),
		"through a symlink":   tarOf(t, link("tree/link", outside), file("tree/link/x")),
		"hard link outside":   tarOf(t, file("tree/a"), &tar.Header{Typeflag: tar.TypeLink, Name: "tree/b", Linkname: "/etc/passwd"}),
		"git hook":            tarOf(t, file("tree/a"), file(".git/hooks/post-checkout")),
		"device":              tarOf(t, &tar.Header{Typeflag: tar.TypeBlock, Name: "tree/a", Devmajor: 8}, &tar.Header{Typeflag: tar.TypeChar, Name: "tree/b", Devmajor: 1, Devminor: 3}),
		"pipe":                tarOf(t, &tar.Header{Typeflag: tar.TypeFifo, Name: "tree/a"}, &tar.Header{Typeflag: tar.TypeFifo, Name: "tree/b"}),
		"zero bomb":           append(tarOf(t, &tar.Header{Typeflag: tar.TypeReg, Name: "tree/a"}), make([]byte, 15<<20)...),
		"not a tar at all":    bytes.Repeat([]byte("not a tar "), 1000),
		"size beyond its end": tarOf(t, file("tree/a"), file("tree/b"))[:1024],
	}
	store, lines := bucket(t)
	s := start(t, options{cache: lines, concurrent: 4, executor: "local"})
	objects := open(t, store)
	s.fill("1M")
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			objects.forge(raw)
			j := s.add(standin.JobSpec{
				Name: name, Cache: onlyTree("pull"),
				Script: []string{"find . -path ./.git -prune -o -print", "test ! -e build.sh", "test ! -e .git/hooks/post-checkout", "! grep -rq evil lib README.md"},
			})
			s.finish(j, standin.Success)
			says(t, j, "WARNING")
			left, err := os.ReadDir(outside)
			if err != nil || len(left) > 0 {
				t.Errorf("outside of the project: %v (%v); the log:\n%s", left, err, j.Text())
			}
		})
	}
}
