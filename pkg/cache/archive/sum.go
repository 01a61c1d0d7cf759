package archive

import "github.com/zeebo/xxh3"

// A Sum identifies a file's content: XXH3-128 of the content up to LeafBytes,
// and of the concatenated sums of its leaves for a larger file, so that its
// pieces can be hashed apart from one another. It finds changes; it does not
// protect against somebody who wants to be missed by it.
type Sum [16]byte

// SumOf returns the sum of content.
func SumOf(content []byte) Sum {
	if len(content) <= LeafBytes {
		return xxh3.Hash128(content).Bytes()
	}
	return SumOfLeaves(AppendLeaves(nil, content))
}

// AppendLeaves appends the sums of content's leaves to dst. Content has to begin
// at a multiple of LeafBytes of its file.
func AppendLeaves(dst []byte, content []byte) []byte {
	for len(content) > 0 {
		n := min(len(content), LeafBytes)
		sum := xxh3.Hash128(content[:n]).Bytes()
		dst = append(dst, sum[:]...)
		content = content[n:]
	}
	return dst
}

// SumOfLeaves returns the sum of a file with more than one leaf.
func SumOfLeaves(leaves []byte) Sum { return xxh3.Hash128(leaves).Bytes() }
