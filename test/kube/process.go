package kubetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// stopGrace is how long a process may take to end by itself before it is killed. An API server first finishes what it has begun.
	stopGrace = 20 * time.Second
	tailBytes = 32 << 10
	tailLines = 25
)

// process is one program that runs, and its log.
type process struct {
	name, log string
	process   *os.Process
	// meant is set before the harness itself ends the process.
	meant atomic.Bool
	// done is closed once the process has ended and been waited for; err is set before.
	done chan struct{}
	err  error
}

// startProcess runs a program, which writes to a log of that name; an older log is kept and goes on.
func startProcess(name, log, path string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = processAttributes()
	p := &process{name: name, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		defer func() { _ = file.Close() }() // nothing is buffered here
		// Where the system ties a child's life to its parent, it means the parent's thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		p.process = cmd.Process
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal hands a signal to a process that still runs.
func (p *process) signal(signal syscall.Signal) error {
	if err := p.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %s to %s: %w", signal, p.name, err)
	}
	return nil
}

// freeze stops the process from doing anything, and returns once it does nothing.
func (p *process) freeze() error {
	if p.ended() {
		return fmt.Errorf("%s does not run", p.name)
	}
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		if done, err := stopped(p.process.Pid); done || err != nil {
			return err
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended", p.name)
		case <-poll.C:
		}
	}
}

// kill ends the process as a crash does, and waits for that. Nil and ended ones are fine.
func (p *process) kill() error {
	if p == nil {
		return nil
	}
	p.meant.Store(p.meant.Load() || !p.ended())
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// stop asks the process to end, and waits for that; by force after a while.
func (p *process) stop() error {
	if p == nil || p.ended() {
		return nil
	}
	p.meant.Store(true)
	if err := errors.Join(p.signal(syscall.SIGCONT), p.signal(syscall.SIGTERM)); err != nil {
		return err
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
		return nil
	case <-grace.C:
		return p.kill()
	}
}

// crashed is the error of a process that ended though nobody asked for it, else nil.
func (p *process) crashed() error {
	if p == nil || !p.ended() || p.meant.Load() {
		return nil
	}
	how := "with status 0"
	if p.err != nil {
		how = "with " + p.err.Error()
	}
	return fmt.Errorf("%s ended %s%s", p.name, how, p.tail())
}

// tail is the end of the log, indented, ready to end an error with.
func (p *process) tail() string {
	if p == nil {
		return ""
	}
	content, err := readEnd(p.log)
	if err != nil {
		return ":\n  its log: " + err.Error()
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(content), "\n"), func(line string) bool {
		return strings.Contains(line, "Warning: controller is disabled") // the controller manager says so of each that is not wanted
	})
	return ":\n  " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n  ")
}

func readEnd(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // nothing is buffered here
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	from := max(0, info.Size()-tailBytes)
	content := make([]byte, info.Size()-from)
	n, err := file.ReadAt(content, from)
	if n == 0 && err != nil && len(content) > 0 {
		return "", err
	}
	return string(content[:n]), nil
}
