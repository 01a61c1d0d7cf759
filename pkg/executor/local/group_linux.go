package local

import "syscall"

// ownGroup has a process lead a group of its own, and end with the daemon.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
