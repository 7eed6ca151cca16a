package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// WriteFile replaces a file as a whole, as a careful editor does: nobody ever
// reads half of it. It makes the directory where that is missing, and returns when the new content came into force.
func WriteFile(path string, content []byte) (time.Time, error) {
	directory, name := filepath.Split(path)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return time.Time{}, fmt.Errorf("writing %s: %w", name, err)
	}
	// A leading dot and no .yaml at its end: a watcher has no interest in it.
	temporary, err := os.CreateTemp(directory, "."+name+".new-*")
	if err != nil {
		return time.Time{}, fmt.Errorf("writing %s: %w", name, err)
	}
	_, writeErr := temporary.Write(content)
	if err := errors.Join(writeErr, temporary.Chmod(0o644), temporary.Close()); err != nil {
		return time.Time{}, errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(temporary.Name()))
	}
	at := time.Now()
	if err := os.Rename(temporary.Name(), path); err != nil {
		return time.Time{}, errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(temporary.Name()))
	}
	return at, nil
}
