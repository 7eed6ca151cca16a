package kubetest

import "syscall"

// processAttributes: an interrupt from the terminal goes to the test alone, and no process outlives a test that was killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
