// Package secret fetches what a job's `secrets:` name, for the daemon: it logs
// in to HashiCorp Vault with what the job brings, reads one value after the
// other, and gives its tokens back.
//
// The job's author chooses the server, so a Resolver connects only to those
// that its operator allows, follows no redirect and reads no answer without a
// bound. No message holds a token or a value.
package secret
