package files

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/podway/podway/api"
)

// A tree is the files below one root. It remembers the listings of its
// directories, so that a walk asks the system only for what is marked dirty.
type tree struct {
	root string
	// rootReal is root with its symlinks resolved, as of the last walk.
	rootReal string
	limit    int
	// watch is called with the real path of each directory before it is listed; it may be nil.
	watch func(resolved string)
	// skip says that a directory is no part of this tree; it may be nil.
	skip func(path string) bool

	listings map[string]*listing
	dirty    map[string]bool
	// changed is true where something is dirty, or a listing was brought up to date by a notification.
	changed bool
	// edited are files that were there already and are perhaps not what they were. restructured is true where anything else may have changed since
	// the last walk, whose files are in last.
	edited       map[string]bool
	restructured bool
	last         []found
	// rootInfo is the directory of the last walk; full is true where it had anything.
	rootInfo fs.FileInfo
	full     bool
}

func newTree(root string, limit int) *tree {
	return &tree{root: filepath.Clean(root), limit: limit, listings: map[string]*listing{}, dirty: map[string]bool{}, edited: map[string]bool{}, restructured: true}
}

// homeOf is where the files of a path's directory lie now, or "".
func (t *tree) homeOf(path string) string {
	if known := t.listings[filepath.Dir(path)]; known != nil {
		return known.home
	}
	return ""
}

func unreadable(path, message, remedy string) api.Problem {
	return api.Problem{Code: api.CodeUnreadable, Severity: api.Error, File: path, Message: message, Remedy: remedy}
}

// reasonOf is what the system said, without the path that the Problem names anyway.
func reasonOf(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
