package envoy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	tailBytes = 16 << 10
	tailLines = 8
)

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if over := len(t.end) - tailBytes; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
	}
	return len(p), nil
}

// lines are the last ones, indented, ready to end an error with; of an Envoy that complains, only its complaints.
func (t *tail) lines() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all, complaints []string
	for line := range strings.Lines(string(t.end)) {
		line = strings.TrimRight(line, "\n")
		all = append(all, line)
		if strings.Contains(line, "[critical]") || strings.Contains(line, "[error]") {
			complaints = append(complaints, line)
		}
	}
	if len(complaints) > 0 {
		all = complaints
	}
	if len(all) == 0 {
		return ""
	}
	return ":\n  " + strings.Join(all[max(0, len(all)-tailLines):], "\n  ")
}

// openLogs are where a process writes to: the writers that were asked for, else files.
func openLogs(cfg StartConfig, directory string) (stdout, stderr io.Writer, closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, file := range files {
			_ = file.Close() // written by Envoy through copies; nothing is buffered here
		}
	}
	open := func(chosen io.Writer, name string) (io.Writer, error) {
		if chosen != nil {
			return chosen, nil
		}
		file, err := os.OpenFile(filepath.Join(directory, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return nil, fmt.Errorf("opening Envoy's log: %w", err)
		}
		files = append(files, file)
		return file, nil
	}
	stdout, outErr := open(cfg.Stdout, "stdout.log")
	stderr, errErr := open(cfg.Stderr, "envoy.log")
	if err := errors.Join(outErr, errErr); err != nil {
		closeAll()
		return nil, nil, nil, err
	}
	return stdout, stderr, closeAll, nil
}

// ensureDirectory makes the folder of a process, or a temporary one where none is wanted. Call remove when it is no longer needed.
func ensureDirectory(wanted string) (directory string, remove func(), err error) {
	if wanted != "" {
		if err := os.MkdirAll(wanted, 0o755); err != nil {
			return "", nil, fmt.Errorf("making a folder for Envoy: %w", err)
		}
		return wanted, func() {}, nil
	}
	temporary, err := os.MkdirTemp("", "podway-envoy-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for Envoy: %w", err)
	}
	return temporary, func() { _ = os.RemoveAll(temporary) }, nil // at worst, something stays in the system's temporary folder
}
