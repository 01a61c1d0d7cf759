package agent

import (
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// shells is where GitLab Runner looks for a shell, in its order.
var shells = [...]string{
	"/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash",
	"/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh", "/busybox/sh",
}

// findShell returns the first shell that exists, or "".
func findShell() string {
	for _, path := range shells {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return ""
}

func isBash(shell string) bool { return path.Base(shell) == "bash" }

// quote returns text as one word of a shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// isName says whether a shell takes key for the name of a variable.
func isName(key string) bool {
	for i, c := range []byte(key) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return key != ""
}
