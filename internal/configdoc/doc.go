// Package configdoc writes the reference of config.toml and of the command line:
// from the types of package config and the comments at their fields, from the
// cobra commands with their flags, and from where the sources read the
// environment. What it writes stands in docs/configure.md.
package configdoc
