// Package depcheck has no code: its test keeps the packages of this module
// apart, as docs/architecture.md draws them. A new package, or a new arrow
// between two packages, is added to the table there with its reason.
package depcheck
