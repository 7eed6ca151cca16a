package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// plane is podway serve.
type plane struct {
	command    *exec.Cmd
	xds, admin string
	// ended is closed once it has.
	ended chan struct{}
	// said is the last that it said before it was ready.
	said strings.Builder
}

var readyLine = regexp.MustCompile(`msg=Ready xds=(\S+) admin=(\S+)`)

// startPlane runs podway serve and waits until it is ready.
func startPlane(ctx context.Context, program, directory string) (*plane, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("podway: %w; run make build, or name the program with -podway", err)
	}
	p := &plane{ended: make(chan struct{})}
	p.command = exec.CommandContext(ctx, program, "serve", "--config", directory, "--xds-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0")
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	ready := make(chan []string, 1)
	go p.read(stderr, ready)
	select {
	case match := <-ready:
		p.xds, p.admin = match[1], match[2]
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("podway serve ended:\n%s", p.said.String())
	case <-time.After(time.Minute):
		return nil, errors.Join(errors.New("podway serve is not ready after a minute"), p.stop())
	}
}

func (p *plane) read(stderr io.Reader, ready chan<- []string) {
	defer close(p.ended)
	lines, found := bufio.NewScanner(stderr), false
	for lines.Scan() {
		if found {
			continue
		}
		p.said.WriteString(lines.Text() + "\n")
		if match := readyLine.FindStringSubmatch(lines.Text()); match != nil {
			found = true
			ready <- match
		}
	}
	_ = p.command.Wait() // how it ends is for whoever ended it
}

// cpu is the user and system time that it has used, to 10 ms.
func (p *plane) cpu() (time.Duration, error) {
	response, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); found {
			seconds, err := strconv.ParseFloat(text, 64)
			return time.Duration(seconds * float64(time.Second)), err
		}
	}
	return 0, errors.New("podway's metrics lack process_cpu_seconds_total")
}

// stop ends it as a person does.
func (p *plane) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("podway serve ended with status %d", code)
	}
	return nil
}
