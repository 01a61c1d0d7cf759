// Package archive is the format of a cache's bytes: tar, in independent zstd
// frames that are announced, cut into segments.
//
// A layer is the concatenation of its segments, and a segment is a sequence of
// records. Each record is a small skippable frame that announces it, and a
// body:
//
//	announce  skippable frame 0x184D2A57, 40 bytes, little endian:
//	          body bytes u32, raw bytes u32, kind u32, ordinal u32, offset u64,
//	          XXH3-128 of the raw bytes
//	body      a zstd frame with its checksum; for Control a skippable frame
//	          0x184D2A58 that holds one
//
// Whatever reads zstd skips the skippable frames, so any layer is readable with
// zstd -d | tar x. Records begin and end at entry borders, or hold a piece of
// one large file, so each is packed and unpacked without the others.
//
// The kinds:
//
//	Control  first record of a layer: [Control] as JSON. Ordinal and offset are 0.
//	Entries  whole tar entries. Ordinal and offset are 0.
//	Head     the tar header of a large file and its first piece. Ordinal is the
//	         large file's number in the layer, offset 0.
//	Cont     a later piece of the file with that ordinal; offset is its position
//	         in the file. The last piece carries the tar padding.
//	End      the tar trailer, last record of a layer. Ordinal is the number of
//	         records before it, offset the sum of their raw bytes without Control.
//
// Pieces are cut at multiples of [LeafBytes] of the file's content.
//
// Archives are untrusted: any job that may write a key can have made them. This
// package checks sizes, checksums and its own fields; package unpack checks
// what the tar entries say.
package archive
