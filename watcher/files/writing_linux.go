package files

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// beingWritten says whether somebody has a file open for writing, as far as the
// system tells: Linux grants a read lease on a file only while nobody has (fcntl(2),
// F_SETLEASE), and only to its owner. sure is false where it does not tell.
func beingWritten(file *os.File) (writing, sure bool) {
	raw, err := file.SyscallConn()
	if err != nil {
		return false, false
	}
	var leaseErr error
	err = raw.Control(func(fd uintptr) {
		if _, leaseErr = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK); leaseErr == nil {
			// The answer is all that was wanted. Who opens the file in between waits for these two calls.
			_, _ = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
		}
	})
	if err != nil {
		return false, false
	}
	return errors.Is(leaseErr, unix.EAGAIN), leaseErr == nil || errors.Is(leaseErr, unix.EAGAIN)
}
