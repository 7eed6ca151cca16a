package kubetest

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes: an interrupt from the terminal goes to the test alone, and no process outlives a test that was killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stopped says whether all threads of a process have obeyed SIGSTOP, which takes a moment. It leaves what it learns to be learned again.
func stopped(pid int) (bool, error) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("waiting until it has stopped: %w", err)
	}
	return info.Signo != 0, nil
}
