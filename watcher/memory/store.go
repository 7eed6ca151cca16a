package memory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	lockName      = "lock"
	directoryName = "pods"
	// temporary is no name of a cluster. One is enough: the lock is held, and one file is written at a time.
	temporary = ".new"
)

// ErrLocked is what Open returns where another process has the state directory.
var ErrLocked = errors.New("another podway uses it")

// Store is a state directory that is open. It is safe for concurrent use.
type Store struct {
	path string // of the files, for messages
	lock *os.File
	root *os.Root

	mu    sync.Mutex // one change of the directory at a time
	known map[string]written
}

// written is what is known of a file: it need not be written again with the same content.
type written struct {
	content [sha256.Size]byte
	size    int64
	saved   time.Time
}

// Open opens a state directory for this process alone, makes it where it is missing, and sweeps up after a crash. Its
// errors name the flag --state: they are ErrLocked where another process has it, and else those of the file system.
// A directory that is there but has no space left can be opened: what is remembered can be read.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return nil, errors.New("--state: is empty; name a directory, or leave it out to remember nothing")
	}
	s, err := open(dir)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, ErrLocked):
		return nil, fmt.Errorf("--state %s: %w; give each its own directory, or stop the other one", dir, err)
	case isFull(err):
		return nil, fmt.Errorf("--state %s: cannot be made: %w; free some space, or leave --state out to remember nothing", dir, cause(err))
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("--state %s: it, or what it is in, is no directory: %w; name a directory, or leave --state out to remember nothing", dir, cause(err))
	}
	return nil, fmt.Errorf("--state %s: cannot be used: %w; name a directory that podway may write to, on a disk of this machine, "+
		"or leave --state out to remember nothing", dir, cause(err))
}

func open(dir string) (s *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	top, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = top.Close() }() // only read
	s = &Store{path: filepath.Join(dir, directoryName), known: map[string]written{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if s.lock, err = top.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return s, err
	}
	if err = lock(s.lock); err != nil {
		return s, err
	}
	if err = top.Mkdir(directoryName, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return s, err
	}
	if s.root, err = top.OpenRoot(directoryName); err != nil {
		return s, err
	}
	return s, errors.Join(s.try(), syncDirectory(top))
}

// try sees whether files can be made, and leaves no temporary one behind.
func (s *Store) try() error {
	if err := s.root.RemoveAll(temporary); err != nil {
		return err
	}
	file, err := s.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if isFull(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), s.root.Remove(temporary))
}

// Close lets another podway have the directory. Whatever is asked of the Store afterwards is an error.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.root != nil {
		errs = append(errs, s.root.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// List returns the names of the clusters of which there is a file, whole or not, sorted. Files of others are left out, so
// that nobody loses them who names a directory with something else in it.
func (s *Store) List() ([]string, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("--state: %s: cannot be read: %w", s.path, cause(err))
	}
	var names []string
	for _, entry := range entries {
		if checkName(entry.Name()) == nil && entry.Type().IsRegular() && s.isOurs(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// isOurs says whether a file begins as podway's do, as far as it goes.
func (s *Store) isOurs(name string) bool {
	file, err := s.root.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // only read
	head := make([]byte, len(magic))
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	return strings.HasPrefix(magic, string(head[:n]))
}

// Remove forgets a cluster. It is no error where nothing is remembered of it.
func (s *Store) Remove(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, name)
	err := s.root.Remove(name)
	if err == nil {
		err = syncDirectory(s.root)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("cluster %s: what is remembered of it cannot be removed: %s: %w; remove the file", name, s.file(name), cause(err))
	}
	return nil
}

// Prune forgets each cluster that keep says false of. What it removed is returned, sorted, also with an error.
func (s *Store) Prune(keep func(name string) bool) (removed []string, err error) {
	names, err := s.List()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range names {
		if keep(name) {
			continue
		}
		if err := s.Remove(name); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(errs...)
}

// file is the path of a cluster's file, for messages.
func (s *Store) file(name string) string { return filepath.Join(s.path, name) }

// syncDirectory makes what was made, renamed and removed in a directory last. Not every file system can.
func syncDirectory(root *os.Root) error {
	directory, err := root.Open(".")
	if err != nil {
		return err
	}
	err = directory.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, directory.Close())
}

// isFull says whether an error means that a disk, a quota or a limit is used up.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// cause is an error without the path and the call that package os puts before it.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}
