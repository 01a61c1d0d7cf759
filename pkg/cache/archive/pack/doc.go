// Package pack makes a layer of files: tar entries in zstd frames of a few MiB,
// each made by one worker from reading to compressing, collected in order into
// segments that are stored several at a time.
//
// The bytes of a layer depend on its entries, its control record and the sizes
// in [Options], and not on how many workers there are.
package pack
