// Command envoys measures how long a change on disk takes until real Envoys behave as it says: podway serve, each Envoy and this are processes of
// their own. README.md says what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// options are what is asked for on the command line.
type options struct {
	podway  string
	envoys  int
	changes int
	others  int
	poll    time.Duration
	out     io.Writer
}

// bound is how long all of it may take.
const bound = 10 * time.Minute

func main() {
	if err := runBounded(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runBounded(arguments []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	return run(ctx, arguments, os.Stdout)
}

func run(ctx context.Context, arguments []string, out io.Writer) (err error) {
	o := options{out: out}
	flags := flag.NewFlagSet("envoys", flag.ContinueOnError)
	flags.StringVar(&o.podway, "podway", "bin/podway", "the program that is measured")
	flags.IntVar(&o.envoys, "envoys", 20, "how many Envoys there are")
	flags.IntVar(&o.changes, "changes", 50, "how many changes there are of each kind")
	flags.IntVar(&o.others, "others", 100, "how many tunnels of 10 addresses there are beside those that change")
	flags.DurationVar(&o.poll, "poll", 4*time.Millisecond, "how often each Envoy is asked, from a change until its answer shows it")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	w, err := newWorld(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	fmt.Fprintf(out, "From a change on disk to the changed answers of %d Envoys, %d changes of each kind, %d other tunnels.\n", o.envoys, o.changes, o.others)
	quiet, err := w.quiet(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Each Envoy is asked every %s until its answer shows the change; an answer takes %s (p50). No time has been subtracted.\n\n", o.poll, short(quiet))
	for _, k := range kinds {
		if err := w.measure(ctx, o, k); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}
