package main

import (
	"github.com/spf13/cobra"

	"github.com/podway/podway/watcher/files"
)

// addLimitFlags adds the limits of what is read to a command, and returns where their values will be.
func addLimitFlags(cmd *cobra.Command) *files.Options {
	options := &files.Options{}
	flags := cmd.Flags()
	flags.Int64Var(&options.MaxFileBytes, "max-file-bytes", 0, "largest configuration file that is read, in `BYTES` (default 4 MiB)")
	flags.Int64Var(&options.MaxObjectFileBytes, "max-object-file-bytes", 0,
		"largest file of a member cluster's objects that is read, in `BYTES` (default 64 MiB)")
	complete(cmd, "max-file-bytes")
	complete(cmd, "max-object-file-bytes")
	return options
}
