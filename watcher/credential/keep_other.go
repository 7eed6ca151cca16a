//go:build !unix

package credential

import (
	"io/fs"
	"os"
)

// keep gives a file the mode of the one that it replaces.
func keep(file *os.File, old fs.FileInfo) error { return file.Chmod(old.Mode().Perm()) }
