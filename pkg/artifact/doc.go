// Package artifact takes files of a job's project to GitLab, and those of
// earlier jobs from there into the project.
//
// An upload is made while it is sent: files are read, packed and written to the
// connection piece by piece, so that neither memory nor disk has to hold an
// archive. What has to be sent again is read again. A download is spooled to a
// file, because the directory of a zip archive lies at its end.
//
// Files are only ever opened below the project directory and never through a
// symlink; see pkg/confine. A job's script may change them at any time: what is
// read may be another state of the files than the one that was listed, and that
// is said, but it is always a whole archive.
package artifact
