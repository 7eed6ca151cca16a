package credential

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	errOutside    = errors.New("a symbolic link leads out of the directory")
	errNotRegular = errors.New("it is no regular file")
)

// ReadFile reads a kubeconfig whose path is relative to a directory, which
// symbolic links must not leave. It reads at most one byte more than MaxBytes.
func ReadFile(directory, path string) ([]byte, error) {
	root, name, err := open(directory, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	if err := regular(root, name); err != nil { // To open a named pipe would wait for a writer.
		return nil, err
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, reasonOf(err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	if err != nil {
		return nil, reasonOf(err)
	}
	return data, nil
}

// WriteFile writes a file that holds secrets, so that a reader sees the old content or the new, whole. A new file is readable by its owner
// only; one that exists keeps its mode and its owner, as far as the process may give them. A symbolic link is followed within
// the directory that path is in, and refused where it leads out.
func WriteFile(path string, data []byte) error { return WriteFileMode(path, data, 0o600) }

// WriteFileMode is WriteFile with another mode for a file that is new.
func WriteFileMode(path string, data []byte, mode fs.FileMode) error {
	root, name, err := open(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = root.Close() }()
	if err := replace(root, name, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, reasonOf(err))
	}
	return nil
}

// open opens the directory that path is relative to, and says what path is called in it without symbolic links.
func open(directory, path string) (*os.Root, string, error) {
	if !filepath.IsLocal(path) {
		return nil, "", errors.New("the path leads out of the directory")
	}
	base, err := filepath.EvalSymlinks(directory)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", directory, reasonOf(err))
	}
	resolved, err := filepath.EvalSymlinks(filepath.Join(base, path))
	if errors.Is(err, fs.ErrNotExist) {
		resolved, err = missing(base, path)
	}
	if err != nil {
		return nil, "", reasonOf(err)
	}
	name, err := filepath.Rel(base, resolved)
	if err != nil || !filepath.IsLocal(name) {
		return nil, "", errOutside
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", directory, reasonOf(err))
	}
	return root, name, nil
}

// missing is where a file is to be that does not exist yet. A symbolic link to nothing is not followed.
func missing(base, path string) (string, error) {
	full := filepath.Join(base, path)
	if _, err := os.Lstat(full); err == nil {
		return "", errors.New("it is a symbolic link to what does not exist")
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(full))
	if err != nil {
		return "", err
	}
	return filepath.Join(parent, filepath.Base(full)), nil
}

func regular(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return reasonOf(err)
	}
	if !info.Mode().IsRegular() {
		return errNotRegular
	}
	return nil
}

// replace writes a file beside the old one, and puts it into its place.
func replace(root *os.Root, name string, data []byte, mode fs.FileMode) (err error) {
	old, err := root.Lstat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != nil && !old.Mode().IsRegular() {
		return errNotRegular
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // It never fails.
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+hex.EncodeToString(random[:]))
	file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = root.Remove(temporary)
		}
	}()
	if _, err := file.Write(data); err != nil {
		return errors.Join(err, file.Close())
	}
	if old != nil {
		err = keep(file, old)
	} else {
		err = file.Chmod(mode)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := root.Rename(temporary, name); err != nil {
		return err
	}
	return syncDirectory(root, filepath.Dir(name))
}

// syncDirectory has the new name outlive a crash of the machine. A file system that cannot is no reason to fail: the file is there.
func syncDirectory(root *os.Root, name string) error {
	directory, err := root.Open(name)
	if err != nil {
		return err
	}
	_ = directory.Sync()
	return directory.Close()
}

// reasonOf is an error without the operation and the path, which whoever reports it names in its own words.
func reasonOf(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	var linkError *os.LinkError
	if errors.As(err, &linkError) {
		return linkError.Err
	}
	return err
}
