package pack

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

const blockBytes = 512

// padding is how many bytes of a block are left after content.
func padding(content int64) int64 { return -content & (blockBytes - 1) }

// headerEstimate is about how long e's header is, rather more than less.
func headerEstimate(e *tree.Entry) int64 {
	return 4*blockBytes + int64(len(e.Path)+len(e.Target)+len(e.Link))
}

// appendHeader appends e's header to dst: PAX, with ns in its time, without an owner.
func appendHeader(dst []byte, e *tree.Entry) ([]byte, error) {
	h := tar.Header{
		Format: tar.FormatPAX, Name: e.Path, Mode: int64(e.Perm & 0o777), ModTime: time.Unix(0, e.MTime),
	}
	switch {
	case e.Kind == tree.Dir:
		h.Typeflag, h.Name = tar.TypeDir, e.Path+"/"
	case e.Kind == tree.Symlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Target
	case e.Link != "":
		h.Typeflag, h.Linkname = tar.TypeLink, e.Link
	default:
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	}
	if ordinary(&h, e.MTime) {
		return appendOrdinary(dst, &h, e.MTime), nil
	}
	b := bytes.NewBuffer(dst)
	if err := tar.NewWriter(b).WriteHeader(&h); err != nil {
		return dst, fmt.Errorf("pack %q: %w", e.Path, err)
	}
	return b.Bytes(), nil
}
