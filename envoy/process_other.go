//go:build unix && !linux

package envoy

import "syscall"

// processAttributes: an interrupt from the terminal goes to podway alone, which stops its Envoy in its own time.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
