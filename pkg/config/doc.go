// Package config reads config.toml.
//
// The keys carry GitLab Runner's names and meanings, so that an existing file
// works as it is; runnerd's own additions stand in [runners.policy]. Reading
// is strict. Every key of the file ends in one of three ways:
//
//   - it sets a field of [Config];
//   - it is a key of GitLab Runner that has no effect here: a [Warning] says why;
//   - it is unknown, of the wrong type or senseless: a [Problem] says where it
//     stands and what to do.
//
// All problems of a file are reported together, each with its line, and no
// Config comes out of a file that has any. What a key means and what it is when
// the file does not set it is said at its field; the defaults stand in
// defaults.go.
//
// The package also edits the file, for registration: [AppendRunner],
// [RemoveRunner] and [SetToken] change what they have to and leave every other
// byte, comments included, as the operator wrote it.
package config
