package unpack

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// Each entry comes after two files that are fine, one of which replaces one
// that is there: there is something to be undone.
func TestUnsafeEntries(t *testing.T) {
	pax := func(records map[string]string) func(*tar.Header) {
		return func(h *tar.Header) { h.PAXRecords, h.Format = records, tar.FormatPAX }
	}
	special := func(kind byte, name string, change func(*tar.Header)) []byte {
		h := tar.Header{Typeflag: kind, Name: name}
		change(&h)
		return entry(h, "")
	}
	linked := func(to string) func(*tar.Header) { return func(h *tar.Header) { h.Linkname = to } }
	one := func(e ...[]byte) [][]byte { return e }
	tests := []struct {
		name    string
		entries [][]byte
		want    error
	}{
		{"goes up", one(file("../outside/x", "")), ErrUnsafe},
		{"is absolute", one(file("/etc/x", "")), ErrUnsafe},
		{"goes up inside", one(file("a/../b", "")), ErrUnsafe},
		{"dot", one(file("./a", "")), ErrUnsafe},
		{"dot alone", one(folder(".", 0o755)), ErrUnsafe},
		{"empty component", one(file("a//b", "")), ErrUnsafe},
		{"file with a slash", one(rawHeader(tar.TypeReg, "a/", 0)), ErrUnsafe},
		{"folder with two slashes", one(folder("a/", 0o755)), ErrUnsafe},
		{"empty name", one(rawHeader(tar.TypeReg, "", 0)), ErrUnsafe},
		{"NUL in a PAX path", one(paxEntry(paxRecord("path", "a\x00b"), '0')), archive.ErrCorrupt},
		{"path of 5000 bytes", one(file(strings.Repeat("0123456789/", 455)+"x", "")), ErrUnsafe},
		{"component of 300 bytes", one(file(strings.Repeat("x", 300), "")), ErrUnsafe},
		{"129 components", one(file(strings.Repeat("x/", 128)+"x", "")), ErrUnsafe},

		{"file below a symlink", one(symlink("a", "../outside"), file("a/secret", "stolen")), ErrUnsafe},
		{"symlink above a file", one(file("a/secret", "stolen"), symlink("a", "../outside")), ErrUnsafe},
		{"folder and symlink", one(folder("a", 0o755), symlink("a", "../outside")), ErrUnsafe},
		{"symlink and folder", one(symlink("a", "../outside"), folder("a", 0o777)), ErrUnsafe},
		{"symlink without a target", one(special(tar.TypeSymlink, "a", linked(""))), ErrUnsafe},
		{"symlink to a path of 4096 bytes", one(symlink("a", strings.Repeat("x", 4096))), ErrUnsafe},
		{"hard link out", one(link("a", "../outside/secret")), ErrUnsafe},
		{"absolute hard link", one(link("a", "/etc/passwd")), ErrUnsafe},
		{"hard link to a file that was there", one(link("a", "src/deep/main.c")), ErrUnsafe},
		{"hard link through a symlink", one(link("a", "out/secret")), ErrUnsafe},
		{"hard link to a symlink of the archive", one(symlink("a", "../outside/secret"), link("b", "a")), ErrUnsafe},
		{"hard link to a folder", one(folder("a", 0o755), link("b", "a")), ErrUnsafe},
		{"hard link to a hard link", one(file("a", ""), link("b", "a"), link("c", "b")), ErrUnsafe},
		{"hard link to itself", one(link("a", "a")), ErrUnsafe},
		{"hard link into .git", one(link("a", ".git/config")), ErrUnsafe},

		{".git", one(file(".git/hooks/x", "")), ErrUnsafe},
		{".git itself", one(folder(".git", 0o777)), ErrUnsafe},
		{".git as a file", one(file(".git", "gitdir: /x")), ErrUnsafe},
		{".git as a symlink", one(symlink(".git", "elsewhere")), ErrUnsafe},
		{".git in other letters", one(file(".GiT/hooks/x", "")), ErrUnsafe},

		{"file twice", one(file("a", "1"), file("a", "2")), ErrUnsafe},
		{"folder twice", one(folder("a", 0o755), folder("a", 0o700)), ErrUnsafe},
		{"file and symlink", one(file("a", "1"), symlink("a", "b")), ErrUnsafe},
		{"file above a file", one(file("a", "1"), file("a/b", "2")), ErrUnsafe},
		{"file below a file", one(file("a/b", "1"), file("a", "2")), ErrUnsafe},
		{"file and folder", one(file("vendor", "1"), file("vendor/b", "2")), ErrUnsafe},

		{"GNU sparse, old", one(rawHeader('S', "a", 0)), archive.ErrCorrupt},
		{"GNU sparse in PAX", one(special(tar.TypeReg, "a", func(*tar.Header) {}), paxText("GNU.sparse.major", "1", file("b", ""))), archive.ErrCorrupt},
		{"GNU long name", one(entry(tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("x/", 90) + "x", Format: tar.FormatGNU}, "")), archive.ErrCorrupt},
		{"GNU header", one(entry(tar.Header{Typeflag: tar.TypeReg, Name: "a", Format: tar.FormatGNU}, "")), archive.ErrCorrupt},
		{"global PAX header", one(rawHeader(tar.TypeXGlobalHeader, "a", 0)), archive.ErrCorrupt},
		{"PAX path goes up", one(paxText("path", "../x", file("a", ""))), ErrUnsafe},
		{"PAX path twice", one(paxEntry(paxRecord("path", "b")+paxRecord("path", "c"), '0')), archive.ErrCorrupt},
		{"empty PAX path", one(paxText("path", "", file("a", ""))), archive.ErrCorrupt},
		{"PAX size beyond the record", one(paxText("size", "100000", file("a", "x"))), archive.ErrCorrupt},
		{"PAX size of a folder", one(paxText("size", "512", folder("a", 0o755)), special(tar.TypeReg, "b", func(*tar.Header) {})), archive.ErrCorrupt},
		{"negative PAX size", one(paxText("size", "-1", file("a", ""))), archive.ErrCorrupt},
		{"PAX size over 63 bits", one(paxText("size", "9223372036854775808", file("a", ""))), archive.ErrCorrupt},
		{"largest PAX size", one(paxText("size", "9223372036854775807", file("a", ""))), archive.ErrCorrupt},
		{"PAX mtime over 64 bits", one(paxText("mtime", "9223372037", file("a", ""))), archive.ErrCorrupt},
		{"PAX mtime without digits", one(paxText("mtime", "1.", file("a", ""))), archive.ErrCorrupt},
		{"PAX of 70 KiB", one(special(tar.TypeReg, "a", pax(map[string]string{"RUNNERD.x": strings.Repeat("x", 70<<10)}))), archive.ErrCorrupt},
		{"PAX length with a zero", one(paxEntry("010 path=b\n", '0')), archive.ErrCorrupt},
		{"PAX without an entry", one(paxEntry(paxRecord("path", "b"), 0)), archive.ErrCorrupt},
		{"PAX twice", one(paxEntry(paxRecord("path", "b"), 'x')), archive.ErrCorrupt},

		{"size in base 256", one(patched(func(b []byte) { b[124] = 0x80; b[135] = 1 })), archive.ErrCorrupt},
		{"negative size in base 256", one(patched(func(b []byte) { copy(b[124:136], bytes.Repeat([]byte{0xff}, 12)) })), archive.ErrCorrupt},
		{"wrong checksum", one(flipped(0)), archive.ErrCorrupt},
		{"no magic", one(patched(func(b []byte) { b[257] = 0 })), archive.ErrCorrupt},
		{"unknown type", one(rawHeader('Z', "a", 0)), archive.ErrCorrupt},
		{"symlink with content", one(rawHeader(tar.TypeSymlink, "a", 512), bytes.Repeat([]byte{0}, 512)), archive.ErrCorrupt},
		{"a block of zeros", one(bytes.Repeat([]byte{0}, 512)), archive.ErrCorrupt},
		{"half a block", one(file("a", "")[:100]), archive.ErrCorrupt},
		{"content cut off", one(file("a", strings.Repeat("x", 1000))[:600]), archive.ErrCorrupt},
		{"padding cut off", one(file("a", strings.Repeat("x", 1000))[:512+1000]), archive.ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(t, archive.Control{})
			b.add(file("vendor/old", "new"), file("fine", "fine"), folder("vendor", 0o700))
			b.add(tt.entries...)
			newSite(t).refuses(t, b.layer(), nil, options(), tt.want)
		})
	}
}

// rawHeader returns a header that package tar would not write.
func rawHeader(kind byte, name string, size int64) []byte {
	b := header512(tar.Header{Typeflag: tar.TypeReg, Name: "x"})
	clear(b[:100])
	copy(b, name)
	copy(b[124:136], fmt.Sprintf("%011o\x00", size))
	b[156] = kind
	return summed(b)
}

// patched returns the header of a file, changed, with the right checksum.
func patched(change func([]byte)) []byte {
	b := header512(tar.Header{Typeflag: tar.TypeReg, Name: "a"})
	change(b)
	return summed(b)
}

func flipped(at int) []byte {
	b := file("a", "")
	b[at] ^= 1
	return b
}

func summed(b []byte) []byte {
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", checksum(b)))
	return b
}

// paxRecord returns a PAX record.
func paxRecord(key, value string) string {
	n := len(key) + len(value) + 3
	size := n + len(fmt.Sprint(n))
	if len(fmt.Sprint(size)) > len(fmt.Sprint(n)) {
		size++
	}
	return fmt.Sprintf("%d %s=%s\n", size, key, value)
}

// paxText returns e with a PAX record before it.
func paxText(key, value string, e []byte) []byte {
	return append(paxEntry(paxRecord(key, value), 0), e...)
}

// paxEntry returns PAX records, and behind them a header of the type next,
// unless that is 0.
func paxEntry(records string, next byte) []byte {
	b := append(rawHeader(kindPAX, "pax", int64(len(records))), records...)
	b = append(b, make([]byte, padding(int64(len(records))))...)
	if next != 0 {
		b = append(b, rawHeader(next, "a", 0)...)
	}
	return b
}

// What is not there to be kept is left out, and the rest is restored.
func TestToleratedEntries(t *testing.T) {
	s := newSite(t)
	b := newBuilder(t, archive.Control{})
	b.add(
		rawHeader(tar.TypeFifo, "pipe", 0), rawHeader(tar.TypeChar, "device", 0), rawHeader(tar.TypeBlock, "../outside/block", 0),
		entry(tar.Header{Typeflag: tar.TypeReg, Name: "setuid", Mode: 0o7755}, "x"),
		entry(tar.Header{Typeflag: tar.TypeDir, Name: "sticky/", Mode: 0o7777}, ""),
		entry(tar.Header{Typeflag: tar.TypeReg, Name: "early", ModTime: time.Unix(-2, 500_000_000), Format: tar.FormatPAX}, ""),
		paxText("SCHILY.xattr.user.x", "y", file("xattr", "z")),
		file("Case", "1"), file("case", "2"), file("not utf-8 \xff", "3"), file("new\nline", "4"),
		symlink("anywhere", "/etc/passwd"),
		file("a/same", "5"), link("b/same", "a/same"),
		file("submodule/.git/config", "6"),
		file(".gitignore", "7"),
	)
	stats, err := restoreInto(t, s.project, b.layer(), nil, options())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Stats{Bytes: stats.Bytes, Raw: b.raw - 2*blockBytes, Entries: 13, Skipped: 3}); stats != want {
		t.Errorf("stats are %+v, want %+v", stats, want)
	}
	got := digest(t, s.project, false)
	for name, want := range map[string]string{
		"setuid": "-rwxr-xr-x", "sticky": "drwxrwxrwx", "early": "mtime -1500000000", "xattr": "size 1",
		"Case": "size 1", "case": "size 1", "not utf-8 \xff": "size 1", "new\nline": "size 1", "anywhere": "-> /etc/passwd",
		"a/same": "links 2", "b/same": "links 2", "submodule/.git/config": "size 1", ".gitignore": "size 1",
		"vendor/old": "size 3", "pipe": "", "device": "",
	} {
		if !strings.Contains(got[name], want) || (want == "") != (got[name] == "") {
			t.Errorf("%q is %q, want %q", name, got[name], want)
		}
	}
}
