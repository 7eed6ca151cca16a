// Command xdsbench measures podway's xDS server beside go-control-plane's LinearCache and a floor that writes the same bytes with nothing in
// between. Each server is a process of its own, and all clients are in this one. ../../README.md says what it prints.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// options are what is asked for on the command line.
type options struct {
	only          string
	streams       int
	perConnection int
	pushes        int
	opened        int
	clusters      int
	profile       string
	out           io.Writer
}

// bound is how long all of it may take.
const bound = 20 * time.Minute

func main() {
	if err := serveOrRun(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveOrRun(arguments []string) error {
	if len(arguments) == 3 && arguments[0] == serveArgument {
		return serve(arguments[1], arguments[2], os.Stdin, os.Stdout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	return run(ctx, arguments, os.Stdout)
}

var scenarios = []struct {
	name string
	run  func(context.Context, options) error
}{
	{"push", push},
	{"state", state},
	{"continuous", continuous},
	{"reconnect", reconnect},
	{"stalled", stalled},
	{"burst", burst},
	{"opened", opened},
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	o := options{out: out}
	flags := flag.NewFlagSet("xdsbench", flag.ContinueOnError)
	flags.StringVar(&o.only, "only", "", "measure these only, of push, state, continuous, reconnect, stalled, burst and opened, with commas between them")
	flags.IntVar(&o.streams, "streams", 1000, "how many Envoys there are")
	flags.IntVar(&o.perConnection, "per-connection", 1, "how many of them share a connection")
	flags.IntVar(&o.clusters, "clusters", 1000, "how many clusters each has")
	flags.IntVar(&o.pushes, "pushes", 100, "how many changes are pushed")
	flags.IntVar(&o.opened, "opened", 100_000, "how many streams are opened and closed")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of each server to files that begin with this")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	wanted := strings.Split(o.only, ",")
	for _, s := range scenarios {
		if o.only != "" && !slices.Contains(wanted, s.name) {
			continue
		}
		if err := s.run(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
