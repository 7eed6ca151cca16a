package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podway/podway/api"
)

// touch brings the listings of some directories up to date with one file, by its real path. It returns false where that needs a look at the whole
// directory: anything but a plain file that lies there itself.
func (t *tree) touch(resolved string, directories []string) bool {
	info, err := os.Lstat(resolved)
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone || err == nil && !info.Mode().IsRegular() {
		return false
	}
	for _, directory := range directories {
		known := t.listings[directory]
		if known == nil || known.failed != nil || known.resolved != filepath.Dir(resolved) {
			return false
		}
		path := filepath.Join(directory, filepath.Base(resolved))
		i, there := slices.BinarySearchFunc(known.files, path, found.comparePath)
		switch {
		case there && known.files[i].resolved != resolved, slices.Contains(known.subs, path):
			return false // It was a symbolic link, or a directory.
		case slices.ContainsFunc(known.problems, func(p api.Problem) bool { return p.File == path }):
			return false // It may be well now.
		case gone && there:
			known.files = slices.Delete(known.files, i, i+1)
			t.restructured = true
		case gone || !isConfigFile(path) || strings.HasPrefix(filepath.Base(path), "."):
		case there:
			known.files[i].stamp = stampOf(info)
			t.edited[path] = true
		default:
			t.restructured = true
			known.files = slices.Insert(known.files, i, found{path: path, resolved: resolved, home: known.home, stamp: stampOf(info)})
		}
	}
	return true
}

// edits are the files that changed since the last walk, sorted by path, where nothing else did.
func (t *tree) edits() (files []found, ok bool) {
	if t.restructured || len(t.dirty) > 0 {
		return nil, false
	}
	for path := range t.edited {
		i, there := slices.BinarySearchFunc(t.last, path, func(f found, path string) int { return comparePaths(f.path, path) })
		known := t.listings[filepath.Dir(path)]
		if !there || known == nil {
			return nil, false // It is there under another name, or beyond the limit.
		}
		j, there := slices.BinarySearchFunc(known.files, path, found.comparePath)
		if !there || known.files[j].resolved != t.last[i].resolved {
			return nil, false
		}
		t.last[i].stamp = known.files[j].stamp
		files = append(files, t.last[i])
	}
	clear(t.edited)
	slices.SortFunc(files, func(a, b found) int { return comparePaths(a.path, b.path) })
	return files, true
}
