//go:build !unix

package main

// maxOpenFiles is how many files and connections the process may have open at a time, 0 where that is not known.
func maxOpenFiles() uint64 { return 0 }
