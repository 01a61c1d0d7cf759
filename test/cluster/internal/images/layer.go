package images

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const architecture = runtime.GOARCH

// An entry is a file, a symbolic link or (with a mode of fs.ModeDir's kind, so
// neither data nor link) a folder of a layer.
type entry struct {
	name string // without leading slash; a folder's ends in one
	mode int64
	uid  int // of user and group
	link string
	data []byte
}

// skeleton is what every root file system has.
func skeleton() []entry {
	return []entry{
		{name: "dev/", mode: 0o755}, {name: "proc/", mode: 0o755}, {name: "sys/", mode: 0o755},
		{name: "bin/", mode: 0o755}, {name: "sbin/", mode: 0o755},
		{name: "usr/", mode: 0o755}, {name: "usr/bin/", mode: 0o755}, {name: "usr/sbin/", mode: 0o755},
		{name: "root/", mode: 0o700}, {name: "tmp/", mode: 0o1777}, {name: "etc/", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, data: []byte(passwd)},
		{name: "etc/group", mode: 0o644, data: []byte(group)},
	}
}

// nonroot is laid over Debian.
func nonroot() []entry {
	return []entry{
		{name: "home/ci/", mode: 0o755, uid: 1000},
		{name: "etc/passwd", mode: 0o644, data: []byte(passwd + "ci:x:1000:1000:ci:/home/ci:/bin/bash\n")},
		{name: "etc/group", mode: 0o644, data: []byte(group + "ci:x:1000:\n")},
	}
}

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
	group  = "root:x:0:\nnogroup:x:65534:\n"
)

// layer packs entries. Times are the epoch, so equal entries give equal layers.
func layer(entries []entry) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.uid, Gid: e.uid, Size: int64(len(e.data))}
		switch {
		case e.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.link, 0o777
		case e.name[len(e.name)-1] == '/':
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer),
		tarball.WithCompressionLevel(1), tarball.WithCompressedCaching)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
