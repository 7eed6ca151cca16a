package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podway/podway/api"
)

// walked is what a walk found.
type walked struct {
	// files are sorted by path; each real file is there once.
	files []found
	// directories are the real ones to watch, with the listings that they concern.
	directories map[string][]string
	problems    []api.Problem
	// passing is true where a directory could not be read, and may be soon, without a notification.
	passing bool
}

// lookAgain has the tree walked again soon where that may find more.
func (w *walked) lookAgain(r *reader, t *tree) {
	if w.passing {
		t.changed = true
		r.retryIn(frozenRetry)
	}
}

const maxTreeDepth = 64

// walk lists what is below the root. An error says that the root itself cannot be read; what was known stays.
func (t *tree) walk(all bool) (*walked, error) {
	t.restructured = true // until it has succeeded
	out, err := t.walkWhole(all)
	if err == nil {
		t.last, t.restructured = slices.Clone(out.files), false
		clear(t.edited)
	}
	return out, err
}

func (t *tree) walkWhole(all bool) (*walked, error) {
	resolved, err := filepath.EvalSymlinks(t.root)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return nil, err
	}
	out := &walked{directories: map[string][]string{}}
	if !info.IsDir() {
		t.rootReal = filepath.Dir(resolved)
		out.files = []found{{path: t.root, resolved: resolved, stamp: stampOf(info)}}
		return out, nil
	}
	if t.full && !os.SameFile(info, t.rootInfo) && isEmpty(resolved) {
		return nil, errVanished
	}
	if all || resolved != t.rootReal || !os.SameFile(info, t.rootInfo) {
		for path := range t.listings {
			t.dirty[path] = true
		}
	}
	t.rootReal, t.rootInfo = resolved, info
	w := &walk{tree: t, out: out, seen: map[string]bool{}, used: map[string]bool{}}
	w.visit(t.root, 0)
	top := t.listings[t.root]
	if top.failed != nil {
		return nil, top.failed
	}
	t.full = len(top.files)+len(top.subs) > 0
	for path := range t.listings {
		if !w.used[path] {
			delete(t.listings, path)
		}
	}
	clear(t.dirty)
	out.files = uniqueFiles(out.files)
	if len(out.files) > t.limit {
		out.problems = append(out.problems, api.Problem{
			Code: api.CodeTooLarge, Severity: api.Error, File: t.root,
			Message: fmt.Sprintf("there are %d files below the directory; only the first %d are read", len(out.files), t.limit),
			Remedy:  "put many objects into one file",
		})
		out.files = out.files[:t.limit]
	}
	return out, nil
}

// errVanished is the reason where an empty directory has taken the place of one that had files, as an unmounted volume leaves it.
var errVanished = errors.New("it is another directory now, and empty")

func isEmpty(directory string) bool {
	file, err := os.Open(directory)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // it was only read
	_, err = file.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

func (t *tree) remember(out *walked, path, resolved string) {
	if !slices.Contains(out.directories[resolved], path) {
		out.directories[resolved] = append(out.directories[resolved], path)
	}
}

// uniqueFiles sorts by path and leaves the first path of each real file.
func uniqueFiles(files []found) []found {
	slices.SortFunc(files, func(a, b found) int { return comparePaths(a.path, b.path) })
	seen := map[string]bool{}
	return slices.DeleteFunc(files, func(f found) bool {
		if seen[f.resolved] {
			return true
		}
		seen[f.resolved] = true
		return false
	})
}

// comparePaths orders a directory's files before those of its subdirectories, otherwise by name.
func comparePaths(a, b string) int {
	if d := strings.Count(a, string(filepath.Separator)) - strings.Count(b, string(filepath.Separator)); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// walk is one walk under way.
type walk struct {
	*tree
	out *walked
	// seen are the real directories visited, so that a loop of symlinks ends; used are the listings that still count.
	seen, used map[string]bool
}

func (w *walk) visit(path string, depth int) {
	if w.skip != nil && w.skip(path) {
		return
	}
	known := w.listings[path]
	// What was gone, or could not be read, may be back before its parent has said anything.
	if known == nil || w.dirty[path] || known.resolved == "" || known.failed != nil {
		if known != nil && known.failed != nil && len(known.files)+len(known.subs) == 0 {
			known = nil // there is nothing to keep
		}
		known = w.list(path, known)
		w.listings[path] = known
	}
	w.used[path] = true
	if known.resolved != "" && w.seen[known.resolved] {
		return
	}
	w.seen[known.resolved] = true
	w.out.problems = append(w.out.problems, known.problems...)
	w.remember(w.out, path, known.resolved)
	for _, resolved := range known.watched {
		w.remember(w.out, path, resolved)
	}
	w.out.files = append(w.out.files, known.files...)
	if depth >= maxTreeDepth {
		w.out.problems = append(w.out.problems, unreadable(path, fmt.Sprintf("the directory is more than %d levels deep", maxTreeDepth), "move it up"))
		return
	}
	for _, sub := range known.subs {
		w.visit(sub, depth+1)
	}
}
