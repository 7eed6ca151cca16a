//go:build unix

package files

import "syscall"

// nonblock keeps open from waiting where a file has become a named pipe.
const nonblock = syscall.O_NONBLOCK
