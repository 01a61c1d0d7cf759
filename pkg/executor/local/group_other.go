//go:build unix && !linux

package local

import "syscall"

// ownGroup has a process lead a group of its own. Only Linux ends it with the daemon.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
