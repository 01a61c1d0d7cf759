// Package mask replaces secrets in a stream of bytes.
//
// Three kinds of text become "[MASKED]", in GitLab Runner's order:
//
//   - phrases: the values of masked variables, wherever they stand;
//   - the values of URL query parameters that carry credentials
//     ("?private_token=…");
//   - what follows the prefix of a well-known token ("glpat-…").
//
// What comes out does not depend on how the text is cut into writes. A
// [Writer] holds back no more than the bytes that could be the beginning of a
// secret; [Writer.Flush] says that the text ended.
package mask
