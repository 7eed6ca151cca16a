package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/podway/podway/bench/xds/fleet"
	"github.com/podway/podway/bench/xds/servers"
)

// patience is how long anything may take.
const patience = 90 * time.Second

// lane is one server in its process, and its clients.
type lane struct {
	kind     string
	clusters int
	address  string
	command  *exec.Cmd
	in       io.WriteCloser
	lines    *bufio.Scanner
	fleet    *fleet.Fleet
	seed     int
}

func (l *lane) String() string { return fmt.Sprintf("%s, %d clusters", l.kind, l.clusters) }

func start(ctx context.Context, o options, kind string, clusters int) (*lane, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, serveArgument, kind, strconv.Itoa(clusters))
	command.Stderr = os.Stderr
	if o.profile != "" {
		command.Env = append(os.Environ(), fmt.Sprintf("%s=%s%s-%d", profileVariable, o.profile, kind, clusters))
	}
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	l := &lane{kind: kind, clusters: clusters, command: command, in: in, lines: bufio.NewScanner(out)}
	r, err := l.answer()
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.address = r.Address
	return l, nil
}

// order tells the server something and returns its answer.
func (l *lane) order(what order) (report, error) {
	what.Seed = l.seed
	l.seed += what.Count
	line, err := json.Marshal(what)
	if err != nil {
		return report{}, err
	}
	if _, err := l.in.Write(append(line, '\n')); err != nil {
		return report{}, err
	}
	return l.answer()
}

func (l *lane) answer() (report, error) {
	if !l.lines.Scan() {
		return report{}, fmt.Errorf("the server %s said nothing: %w", l, errors.Join(l.lines.Err(), io.ErrUnexpectedEOF))
	}
	var r report
	if err := json.Unmarshal(l.lines.Bytes(), &r); err != nil {
		return report{}, err
	}
	if r.Error != "" {
		return report{}, errors.New(r.Error)
	}
	return r, nil
}

// connect opens the streams and waits until all have acknowledged everything.
func (l *lane) connect(ctx context.Context, o fleet.Options) error {
	o.Address, o.Names = l.address, servers.Names(l.clusters)
	o.Expected = int64((o.Streams - o.Stalled) * l.clusters)
	f, err := fleet.Open(o)
	if err != nil {
		return err
	}
	l.fleet = f
	_, err = l.wait(ctx)
	f.TakeOldest()
	return err
}

func (l *lane) wait(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at, err := l.fleet.Wait(ctx)
	if err != nil {
		return at, fmt.Errorf("%s: %w", l, err)
	}
	return at, nil
}

// push publishes changes of as many clusters, and returns how long it took until the last of so many streams had acknowledged the last.
func (l *lane) push(ctx context.Context, changes, streams int) (time.Duration, error) {
	l.fleet.Expect(l.fleet.Acked() + int64(changes*streams))
	r, err := l.order(order{Count: changes})
	if err != nil {
		return 0, err
	}
	at, err := l.wait(ctx)
	return at.Sub(r.Published), err
}

func (l *lane) close() error {
	if l.fleet != nil {
		l.fleet.Close()
	}
	_ = l.in.Close()
	return l.command.Wait()
}

// rest lets acknowledgements arrive that are on their way.
func rest() { <-time.After(500 * time.Millisecond) }

func percentile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)*percent/100]
}
