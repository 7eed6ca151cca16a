package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/podway/podway/xds"
)

const (
	// watchEvery is how often --watch asks.
	watchEvery = time.Second
	// redraw puts the cursor of a terminal at its top, and clears it.
	redraw = "\x1b[H\x1b[2J"
)

// watchEnvoys prints the Envoys again whenever something changes, which the passing of time is not. On a terminal it redraws them every
// time. It ends with the context, and with an error only where the first answer fails or nothing can be written: a podway that restarts
// is waited for.
func watchEnvoys(ctx context.Context, options envoysOptions, out, stderr io.Writer) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	terminal := isTerminal(out) && *options.format == outputTable
	var shown []byte
	failed := ""
	for first := true; ; first = false {
		envoys, err := options.fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil && err.Error() != failed:
			failed = err.Error()
			_, _ = fmt.Fprintf(stderr, "podway: %s\n", failed)
		case err == nil:
			failed = ""
			if shown, err = options.show(out, envoys, shown, terminal); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// show prints the Envoys if they are not as they were shown last, and returns how they are shown now.
func (o envoysOptions) show(out io.Writer, envoys []xds.StreamStatus, before []byte, terminal bool) ([]byte, error) {
	text := outputTable
	lasting, err := envoysOptions{format: &text, node: o.node}.render(envoys, noAges)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(lasting, before) && !terminal {
		return before, nil
	}
	now := time.Now()
	data, err := o.render(envoys, ages(now))
	if err != nil {
		return nil, err
	}
	switch {
	case terminal:
		data = append([]byte(redraw), data...)
	case *o.format == outputYAML:
		data = append([]byte("---\n"), data...)
	case *o.format == outputTable:
		data = append([]byte("# "+clock(now)+"\n"), append(data, '\n')...)
	}
	return lasting, write(out, data)
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
