package files

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Source follows a directory of configuration.
type Source struct {
	config Config

	// What follows belongs to the goroutine of Run.
	watcher *fsnotify.Watcher
	watched map[string]bool
	reader  *reader
}

// New makes a Source. It reads nothing yet.
func New(config Config) *Source {
	config.Options = config.Options.withDefaults()
	if config.Rescan <= 0 {
		config.Rescan = defaultRescan
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	return &Source{config: config}
}

// Run reads the directory, calls OnState, and follows changes until the context
// ends, which it returns as nil. Any other end is an error: the directory cannot be
// read at first, or the system refuses to notify of changes.
func (s *Source) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("asking the system to notify of file changes: %w", err)
	}
	defer watcher.Close()
	s.watcher, s.watched = watcher, map[string]bool{}
	s.reader = newReader([]string{s.config.Directory}, s.config.Options, s.watch)
	if err := s.refresh(true, nil); err != nil {
		return err
	}
	rescan := time.NewTicker(s.config.Rescan)
	defer rescan.Stop()
	for {
		var retry <-chan time.Time
		if s.reader.retry > 0 {
			retry = time.After(s.reader.retry)
		}
		all := false
		forced := map[string]bool{}
		select {
		case <-ctx.Done():
			return nil
		case <-rescan.C:
			all = true
		case <-retry:
			all = true
		case err := <-watcher.Errors:
			s.config.Logger.Warn("File notifications were lost", "error", err)
			all = true
		case event := <-watcher.Events:
			s.note(event, forced)
			s.drain(forced)
		}
		if err := s.refresh(all, forced); err != nil {
			return err
		}
	}
}

// drain takes all notifications that wait.
func (s *Source) drain(forced map[string]bool) {
	for {
		select {
		case event := <-s.watcher.Events:
			s.note(event, forced)
		default:
			return
		}
	}
}

// note marks what a notification concerns.
func (s *Source) note(event fsnotify.Event, forced map[string]bool) {
	forced[event.Name] = true
	for _, real := range []string{filepath.Dir(event.Name), event.Name} {
		s.reader.markDirty(real)
	}
}

func (s *Source) refresh(all bool, forced map[string]bool) error {
	changed, err := s.reader.refresh(all, forced)
	if err != nil {
		return err
	}
	if changed && s.config.OnState != nil {
		s.config.OnState(s.reader.state)
	}
	return nil
}

func (s *Source) watch(real string) {
	if s.watched[real] {
		return
	}
	if err := s.watcher.Add(real); err != nil {
		s.config.Logger.Warn("A directory is not watched, only looked at now and then", "directory", real, "error", err)
		return
	}
	s.watched[real] = true
}

// markDirty marks the listings that a real directory concerns.
func (r *reader) markDirty(real string) {
	for _, root := range r.roots {
		for _, path := range root.directories[real] {
			root.tree.dirty[path] = true
		}
	}
	for _, c := range r.clusters {
		for _, path := range c.directories[real] {
			c.tree.dirty[path] = true
		}
	}
}
