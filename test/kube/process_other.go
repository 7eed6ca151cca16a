//go:build unix && !linux

package kubetest

import "syscall"

// processAttributes: an interrupt from the terminal goes to the test alone.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
