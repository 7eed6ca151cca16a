//go:build unix

package main

import "syscall"

// maxOpenFiles is how many files and connections the process may have open at a time, 0 where that is not known. Go has raised it to what it may be.
func maxOpenFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // it is signed on some systems
}
