package memory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Load returns what is remembered of a cluster. Where that is nothing, the error is fs.ErrNotExist; any other error says
// what is wrong with the file: it is left as it is until the next Save. The strings, lists of ports and labels that repeat
// are shared.
func (s *Store) Load(name string) (*Cluster, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := s.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cluster %s: nothing is remembered of it: %w", name, fs.ErrNotExist)
	}
	var c *Cluster
	var payload []byte
	if err == nil {
		payload, err = unframe(magic, file)
	}
	if err == nil {
		c, err = decode(payload)
		if err != nil {
			err = fmt.Errorf("has the right checksum but makes no sense: %w", err)
		} else if c.Name != name {
			err = fmt.Errorf("is of cluster %.64q", c.Name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cluster %s: what was remembered of it is not used: %s: %w; the file is replaced once the cluster has been watched",
			name, s.file(name), err)
	}
	s.known[name] = written{content: sha256.Sum256(payload[savedSize:]), size: int64(len(file)), saved: c.Saved}
	return c, nil
}

// read reads a file whole, and never more than maxFile.
func (s *Store) read(name string) ([]byte, error) {
	// A named pipe must not even be opened: that could wait for ever.
	info, err := s.root.Lstat(name)
	if err != nil {
		return nil, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("is too large: %d bytes; at most %d are read", info.Size(), maxFile)
	}
	file, err := s.root.Open(name)
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { _ = file.Close() }() // only read
	content := make([]byte, info.Size())
	n, err := io.ReadFull(file, content)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, unreadable(err)
	}
	return content[:n], nil
}

func unreadable(err error) error { return fmt.Errorf("cannot be read: %w", cause(err)) }
