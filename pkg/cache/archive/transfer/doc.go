// Package transfer moves the segments of a layer through presigned URLs: one
// PUT or GET each, with nothing but net/http.
//
// A URL is a secret for as long as it is valid, so none of it is ever in an
// error. Whatever may be the network's or the store's passing trouble is tried
// again here and nowhere else; a try in which no byte moves for a while is given
// up. An error that is returned is final.
package transfer
