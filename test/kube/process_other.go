//go:build unix && !linux

package kubetest

import "syscall"

// processAttributes: an interrupt from the terminal goes to the test alone.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// stopped: there is no telling, so whoever asks must not mind a last answer.
func stopped(int) (bool, error) { return true, nil }
