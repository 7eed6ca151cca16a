package memory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// refreshAfter is how much younger Saved must be for a file to be written again with the same content.
const refreshAfter = 10 * time.Minute

// Save remembers a Cluster. When it returns, what it wrote survives a loss of power; when it fails, what was remembered
// before still is. Where only Saved changed, by less than 10 minutes, nothing is written: the Saved of a file is at
// most that much too old. c is only read.
func (s *Store) Save(c *Cluster) error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	saved := *c
	if saved.Saved.IsZero() {
		saved.Saved = time.Now()
	}
	saved.Saved = saved.Saved.Round(0) // Only the wall clock means anything to the next process.
	payload, err := encode(&saved)
	if err != nil {
		return fmt.Errorf("cluster %s: cannot be remembered: %w", c.Name, err)
	}
	file := frame(magic, payload)
	now := written{content: sha256.Sum256(payload[savedSize:]), size: int64(len(file)), saved: saved.Saved}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isThere(c.Name, now) {
		return nil
	}
	delete(s.known, c.Name)
	if err := s.replace(c.Name, file); err != nil {
		return fmt.Errorf("cluster %s: its Pods cannot be written to %s: %w; %s", c.Name, s.file(c.Name), cause(err), remedy(err, "what was written before"))
	}
	s.known[c.Name] = now
	return nil
}

// remedy is what to do about a file that cannot be written, and what a restart knows until that is done.
func remedy(err error, known string) string {
	switch {
	case isFull(err):
		return "free some space; until then a restart knows " + known
	case errors.Is(err, fs.ErrNotExist):
		// A directory that is made anew is another one.
		return "the state directory was removed, and a restart knows nothing of before: restart podway, which makes it anew"
	}
	return "make the directory writable again; until then a restart knows " + known
}

// isThere says whether a file need not be written. Somebody may have removed it.
func (s *Store) isThere(name string, now written) bool {
	known, ok := s.known[name]
	if !ok || known.content != now.content || now.saved.Sub(known.saved).Abs() >= refreshAfter {
		return false
	}
	info, err := s.root.Lstat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() == known.size
}

// replace writes a file beside the one it replaces, and renames it once all of it is on disk.
func (s *Store) replace(name string, content []byte) (err error) {
	if err := s.root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := s.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = s.root.Remove(temporary) // what went wrong is being told already
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = s.root.Rename(temporary, name); err != nil {
		return err
	}
	return syncDirectory(s.root)
}
