// Package unpack makes files of layers: segments are fetched several at a time
// and checked, and workers decode the records in them and write each its own
// files. Nothing is put into order before it is written.
//
// Layers are untrusted: any job that may write a key can have made them. What
// they say goes through package confine, so nothing outside the root is ever
// created, changed or read; what was there before is moved aside, and comes back
// if the restore fails.
package unpack
