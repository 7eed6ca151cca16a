package files

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Source follows a directory of configuration.
type Source struct {
	config Config
	// newWatcher is fsnotify's, but in tests.
	newWatcher func() (*fsnotify.Watcher, error)

	// What follows belongs to the goroutine of Run. watcher is nil while the system gives none.
	watcher *fsnotify.Watcher
	// watched are the directories that are watched, and unwatched those that cannot be.
	watched, unwatched map[string]bool
	// links are the names in watched directories that lead to the root: a symbolic link among them may be swapped.
	links  map[string]bool
	reader *reader
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
	return &Source{config: config, newWatcher: newWatcher}
}

// notificationBuffer is how many notifications are at hand at once. What piles up while files are read is drained in one go by that; without a buffer
// each is handed over on its own, and thousands of files that are written in a second are read over a minute, a few at a time.
const notificationBuffer = 4096

func newWatcher() (*fsnotify.Watcher, error) { return fsnotify.NewBufferedWatcher(notificationBuffer) }

// Run reads the directory, calls OnState, and follows changes until the context
// ends, which it returns as nil. Any other end is an error: the directory cannot be
// read at first.
func (s *Source) Run(ctx context.Context) error {
	s.watched, s.unwatched, s.links = map[string]bool{}, map[string]bool{}, map[string]bool{}
	if err := s.notify(); err != nil {
		s.config.Logger.Warn("The system does not notify of file changes; everything is looked at again and again instead",
			"interval", s.interval(), "error", err, "remedy", "raise fs.inotify.max_user_instances")
	}
	defer func() {
		if s.watcher != nil {
			_ = s.watcher.Close() // there is nobody left to tell
		}
	}()
	s.reader = newReader([]string{s.config.Directory}, s.config.Options, s.watch)
	s.watchLinks()
	if err := s.refresh(true, map[string]bool{}); err != nil {
		return err
	}
	interval := s.interval()
	rescan := time.NewTicker(interval)
	defer rescan.Stop()
	for {
		if now := s.interval(); now != interval {
			interval = now
			rescan.Reset(interval)
		}
		if err := s.wait(ctx, rescan.C); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// notify asks the system for notifications, which it does not give yet.
func (s *Source) notify() error {
	watcher, err := s.newWatcher()
	if err != nil {
		return fmt.Errorf("asking the system to notify of file changes: %w", err)
	}
	s.watcher = watcher
	return nil
}

// blindRescan is how often everything is looked at again where the system does not notify of all changes.
const blindRescan = 2 * time.Second

// interval is how often everything is looked at again.
func (s *Source) interval() time.Duration {
	if s.watcher == nil || len(s.unwatched) > 0 {
		return min(s.config.Rescan, blindRescan)
	}
	return s.config.Rescan
}

// notifications are never there while the system gives none.
func (s *Source) notifications() (<-chan fsnotify.Event, <-chan error) {
	if s.watcher == nil {
		return nil, nil
	}
	return s.watcher.Events, s.watcher.Errors
}

// wait waits for one thing to happen, and refreshes.
func (s *Source) wait(ctx context.Context, rescan <-chan time.Time) error {
	var retry <-chan time.Time
	if s.reader.retry > 0 {
		timer := time.NewTimer(s.reader.retry)
		defer timer.Stop()
		retry = timer.C
	}
	forced := map[string]bool{}
	events, failures := s.notifications()
	select {
	case <-ctx.Done():
		return nil
	case <-rescan:
		if s.watcher == nil && s.notify() == nil {
			s.config.Logger.Info("The system notifies of file changes again")
		}
		s.unwatch()
		s.watchLinks()
		return s.refresh(true, forced)
	case <-retry:
		return s.refresh(false, forced)
	case err := <-failures:
		s.config.Logger.Warn("File notifications were lost; everything is read again", "error", err)
		return s.refresh(true, forced)
	case event := <-events:
		concerned, all := s.note(event, forced)
		for more := true; more; {
			select {
			case event := <-events:
				c, a := s.note(event, forced)
				concerned, all = concerned || c, all || a
			default:
				more = false
			}
		}
		if !concerned && !all {
			return nil
		}
		if all {
			s.watchLinks()
		}
		return s.refresh(all, forced)
	}
}

// note marks what a notification is about. all is true where it is the way to the root.
func (s *Source) note(event fsnotify.Event, forced map[string]bool) (concerned, all bool) {
	if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
		s.unwatchBelow(event.Name)
	}
	forced[event.Name] = true
	return s.reader.mark(event.Name), s.links[event.Name]
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

// watch has the system notify of changes in a directory. Where it refuses, the rescans find them.
func (s *Source) watch(resolved string) {
	if s.watched[resolved] || s.watcher == nil {
		return
	}
	if err := s.watcher.Add(resolved); err != nil {
		if !s.unwatched[resolved] {
			s.unwatched[resolved] = true
			s.config.Logger.Warn("A directory cannot be watched; its changes are found when everything is looked at again",
				"directory", resolved, "interval", s.interval(), "error", err, "remedy", "raise fs.inotify.max_user_watches")
		}
		return
	}
	s.watched[resolved] = true
	delete(s.unwatched, resolved)
}

// unwatchBelow lets go of what was a directory of that name: where it was moved, its watches would go on, under the old names.
func (s *Source) unwatchBelow(name string) {
	for resolved := range s.watched {
		if below(resolved, name) {
			s.forget(resolved)
		}
	}
}

func (s *Source) forget(resolved string) {
	// An error says that there is no such watch any more, which is what is wanted.
	_ = s.watcher.Remove(resolved)
	delete(s.watched, resolved)
}

// unwatch lets go of directories that are no longer of concern.
func (s *Source) unwatch() {
	wanted := s.reader.wanted()
	for name := range s.links {
		wanted[filepath.Dir(name)] = true
	}
	for resolved := range s.watched {
		if !wanted[resolved] {
			s.forget(resolved)
		}
	}
	maps.DeleteFunc(s.unwatched, func(resolved string, _ bool) bool { return !wanted[resolved] })
}

// watchLinks watches what leads to the root: the directory that it is in, and that of each symbolic link on the way.
func (s *Source) watchLinks() {
	clear(s.links)
	path, err := filepath.Abs(s.config.Directory)
	for range 16 { // As many links as a sane path may have.
		if err != nil {
			return
		}
		link := firstLink(path)
		if link == "" {
			s.watchName(path)
			return
		}
		s.watchName(link)
		path, err = followLink(path, link)
	}
}

// watchName watches the directory that a name is in, for changes of what the name stands for.
func (s *Source) watchName(path string) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return // What is on the way is watched already.
	}
	s.links[filepath.Join(parent, filepath.Base(path))] = true
	s.watch(parent)
}

// firstLink is the shortest beginning of a path that is a symbolic link, or "".
func firstLink(path string) string {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != filepath.Separator {
			continue
		}
		if info, err := os.Lstat(path[:i]); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return path[:i]
		}
	}
	return ""
}

// followLink replaces a link that a path begins with by where it leads.
func followLink(path, link string) (string, error) {
	target, err := os.Readlink(link)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(link), target)
	}
	return filepath.Join(target, path[len(link):]), nil
}
