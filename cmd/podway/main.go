// Command podway is the control plane and the tools around it. It knows the command line, what a person reads there, and nothing else: what is read,
// what it means and what is sent is decided in the watcher, the translator, xds and envoy, which package controlplane joins.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	os.Exit(code)
}
