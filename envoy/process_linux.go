package envoy

import "syscall"

// processAttributes: an interrupt from the terminal goes to podway alone,
// which stops its Envoy in its own time; and an Envoy does not outlive a podway that was killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
