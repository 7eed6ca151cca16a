//go:build !linux

package files

import "os"

// beingWritten says whether somebody has a file open for writing. Here the system does not tell.
func beingWritten(*os.File) (writing, sure bool) { return false, false }
