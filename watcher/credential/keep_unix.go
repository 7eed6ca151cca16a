//go:build unix

package credential

import (
	"io/fs"
	"os"
	"syscall"
)

// keep gives a file the owner and the mode of the one that it replaces. Where the owner cannot be given, nobody else may read
// the file: the mode would let in another group.
func keep(file *os.File, old fs.FileInfo) error {
	mode := old.Mode().Perm()
	if stat, ok := old.Sys().(*syscall.Stat_t); ok {
		if file.Chown(int(stat.Uid), int(stat.Gid)) != nil && file.Chown(-1, int(stat.Gid)) != nil {
			mode &= 0o700
		}
	}
	return file.Chmod(mode)
}
