package main

import (
	"runtime/debug"
)

// Set by the linker: -X main.version=… -X main.revision=… -X main.built=….
var version, revision, built string

// A buildInfo says which build of the program this is.
type buildInfo struct {
	Version  string // semantic version, or "dev"
	Revision string // git revision
	Built    string // time, RFC 3339
}

// currentBuild takes what the linker has not been told from what the Go
// command noted.
func currentBuild() buildInfo {
	b := buildInfo{Version: version, Revision: revision, Built: built}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; b.Version == "" && v != "(devel)" {
			b.Version = v
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.Revision == "":
				b.Revision = s.Value[:min(len(s.Value), 8)]
			case s.Key == "vcs.time" && b.Built == "":
				b.Built = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "dev"
	}
	return b
}
