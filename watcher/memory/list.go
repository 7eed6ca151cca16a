package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"reflect"
	"time"
)

// list is a file with a list of what there are few of.
type list struct {
	// file is no name of a cluster.
	file, magic string
	// what are its elements, in messages.
	what string
}

// saveList writes a list; an empty one removes the file.
func saveList[T any](s *Store, l list, elements []T) error {
	payload, err := json.Marshal(elements)
	if err == nil && len(payload) > maxPayload {
		err = fmt.Errorf("they take %d bytes; at most %d are kept", len(payload), maxPayload)
	}
	if err != nil {
		return fmt.Errorf("the %s cannot be remembered: %w", l.what, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(elements) == 0 {
		if err = s.root.Remove(l.file); err == nil {
			err = syncDirectory(s.root)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = s.replace(l.file, frame(l.magic, payload))
	}
	if err != nil {
		return fmt.Errorf("the %s cannot be written to %s: %w; %s", l.what, s.file(l.file), cause(err), remedy(err, "those that were written before"))
	}
	return nil
}

// loadList reads a list; none is no error.
func loadList[T any](s *Store, l list) ([]T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := s.read(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var payload []byte
	if err == nil {
		payload, err = unframe(l.magic, file)
	}
	var elements []T
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(payload))
		decoder.DisallowUnknownFields()
		if err = decoder.Decode(&elements); err != nil {
			err = fmt.Errorf("has the right checksum but makes no sense: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the %s that were remembered are not used: %s: %w; the file is replaced when they change", l.what, s.file(l.file), err)
	}
	return elements, nil
}

// Kept is a list that is to be kept as it changes.
type Kept[T any] struct {
	// What are its elements, for the log.
	What string
	// Changed has a value when the list may not be what it was, and Now is what it is, which nobody changes afterwards.
	Changed <-chan struct{}
	Now     func() []T
	Save    func([]T) error
	Logger  *slog.Logger
}

// Run saves the list whenever it changed, at most once a second, where that takes long at most every 10 s, until the context ends, and then once more. It
// returns nil.
func (k Kept[T]) Run(ctx context.Context) error {
	var saved []T
	failing := false
	keep := func() {
		now := k.Now()
		if !failing && reflect.DeepEqual(now, saved) {
			return
		}
		err := k.Save(now)
		switch {
		case err != nil && !failing:
			k.Logger.Warn("What is remembered cannot be kept in the state directory", "what", k.What, "error", err)
		case err == nil && failing:
			k.Logger.Info("What is remembered is kept in the state directory again", "what", k.What)
		}
		if failing = err != nil; !failing {
			saved = now
		}
	}
	defer keep()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.Changed:
		}
		for again := true; again; again = failing { // It is tried again whether anything changes or not.
			begun := time.Now()
			keep()
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause(time.Since(begun), 1, defaultInterval)):
			}
		}
	}
}
