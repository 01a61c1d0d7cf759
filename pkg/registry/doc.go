// Package registry asks container registries what they say about an image:
// which digest a tag stands for now, and whether somebody has signed it.
//
// A [Client] speaks for one job at a time: it presents the job's own
// credential to the registry that it is for, and to the token server that this
// registry names, and to nobody else. It bounds each question in time, the number
// of repetitions, and the size of what it reads.
//
// Signatures are those of cosign with keys, in both of its layouts: the tag
// sha256-<hex>.sig with simple-signing payloads, and Sigstore bundles among the
// image's OCI referrers. What is trusted is the key and nothing else: no
// transparency log, no time stamp and no certificate is looked at, so a
// signature counts for as long as its key is listed.
package registry
