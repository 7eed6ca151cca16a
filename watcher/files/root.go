package files

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// root is one directory, or file, of configuration.
type root struct {
	tree *tree
	// base is the directory that paths in the configuration are relative to.
	base  string
	files map[string]*tracked[content]
	// directories are the real ones that were found, with the listings that they concern.
	directories map[string][]string
	problems    []api.Problem
	// size is how many objects the files have.
	size int
	// edits are what happened to the files since the picture was assembled.
	edits []edit
	// excluded are the directories of clusters' objects.
	excluded []string
	// vanished are files that were there a moment ago, and since when they are not.
	vanished map[string]time.Time
}

// edit is a file that has another content now. Either is nil where there is none.
type edit struct{ before, after *content }

// tracked is a file, and what was made of it.
type tracked[T any] struct {
	found
	content *T
}

func newRoot(path string, limit int, watch func(string)) *root {
	t := newTree(path, limit)
	r := &root{tree: t, base: t.root, files: map[string]*tracked[content]{}, vanished: map[string]time.Time{}}
	t.watch, t.skip = watch, r.isExcluded
	return r
}

// refresh reads what changed below the root, and says whether that is anything. What an earlier root has is left to that.
func (r *root) refresh(reader *reader, all bool, forced map[string]bool) (changed bool, err error) {
	if !all && !r.tree.changed {
		return false, nil
	}
	r.tree.changed = false
	taken := reader.filesBefore(r)
	isTaken := func(f found) bool { return taken[f.resolved] }
	if !all {
		if edited, ok := r.tree.edits(); ok {
			excluded := r.excluded
			changed = r.read(reader, slices.DeleteFunc(edited, isTaken), forced)
			if slices.Equal(excluded, r.excluded) {
				return changed, nil
			}
		}
	}
	problems := r.problems
	// What is read can say that some directory is no configuration; what is left is then walked again, from memory. Two files
	// that exclude each other could go on like that for ever.
	for again, rounds := true, 0; again && rounds < 8; all, rounds = false, rounds+1 {
		walked, err := r.tree.walk(all)
		if err != nil {
			err = r.freeze(reader, errRoot(r.tree.root, reasonOf(err)))
			return changed || !slices.Equal(problems, r.problems), err
		}
		if len(walked.files) == 1 && walked.files[0].path == r.tree.root {
			r.base = filepath.Dir(r.tree.root)
		}
		walked.lookAgain(reader, r.tree)
		r.directories, r.problems = walked.directories, walked.problems
		before := r.excluded
		files := slices.DeleteFunc(walked.files, isTaken)
		moved := slices.ContainsFunc(files, func(f found) bool { return r.files[f.path] == nil })
		read := r.read(reader, files, forced)
		removed := r.remove(reader, files, moved)
		changed = changed || read || removed
		again = !slices.Equal(before, r.excluded)
	}
	return changed || !slices.Equal(problems, r.problems), nil
}

// freeze keeps what was read of the root. Where that is nothing, it returns the error.
func (r *root) freeze(reader *reader, err error) error {
	if !reader.begun {
		return err
	}
	r.tree.changed = true
	reader.retryIn(frozenRetry)
	r.problems = []api.Problem{unreadable(r.tree.root, err.Error()+"; what was read of it stays in force", "bring the directory back, or let podway read it")}
	return nil
}

// read reads the files that changed. Those that name the directories of clusters' objects come first: what is in such a directory
// is no configuration. It says whether any did.
func (r *root) read(reader *reader, files []found, forced map[string]bool) (changed bool) {
	later := map[string][]byte{}
	for _, f := range files {
		known := r.files[f.path]
		if known != nil && known.stamp.equal(f.stamp) && !forced[f.path] && !forced[f.resolved] || r.isExcluded(f.path) {
			continue
		}
		text, ok := reader.read(f, known.stampOrNil(), reader.MaxFileBytes)
		if !ok {
			continue
		}
		next := &tracked[content]{found: found{path: f.path, resolved: f.resolved, home: f.home, stamp: text.stamp}, content: known.contentOrNil()}
		last := next.content
		if known == nil && (text.problem != nil || len(text.bytes) == 0) {
			last = reader.recall(f.path)
		}
		if (known == nil && len(text.bytes) == 0 || isEmptied(known, text.bytes, text.stamp)) && text.problem == nil && last.size() > 0 {
			text.problem = emptied()
		}
		if text.problem != nil {
			next.content = last.frozen(f.path, *text.problem)
		} else if bytes.Contains(text.bytes, []byte(v1alpha1.KindMemberCluster)) {
			next.content = reader.parse(f.path, text.bytes, next.content)
		} else {
			later[f.path] = text.bytes
		}
		r.put(next, reader.MaxObjects)
		changed = true
	}
	if changed {
		r.exclude()
	}
	for path, text := range later {
		if !r.isExcluded(path) {
			r.put(&tracked[content]{found: r.files[path].found, content: reader.parse(path, text, r.files[path].content)}, reader.MaxObjects)
		}
	}
	if changed {
		r.exclude()
	}
	return changed
}

// remove lets go of the files that are no longer there, or no configuration any more, and says whether there are any. moved is true where others have come.
func (r *root) remove(reader *reader, files []found, moved bool) (changed bool) {
	present := make(map[string]bool, len(files))
	for _, f := range files {
		present[f.path] = true
	}
	maps.DeleteFunc(r.vanished, func(path string, _ time.Time) bool { return present[path] || r.files[path] == nil })
	for path, file := range r.files {
		if !present[path] && !moved && !r.isExcluded(path) && r.mayComeBack(reader, path) {
			continue
		}
		if !present[path] || r.isExcluded(path) {
			r.size -= file.content.size()
			r.edits = append(r.edits, edit{before: file.content})
			delete(r.files, path)
			changed, reader.remembers = true, reader.Memory != nil
		}
	}
	if changed {
		r.exclude()
	}
	return changed
}

// mayComeBack says whether a file is missing for so short a time that somebody may be about to write it, and has it looked for again.
func (r *root) mayComeBack(reader *reader, path string) bool {
	if home := r.tree.homeOf(path); home != "" && home != r.files[path].home {
		return false // Its directory was replaced by another one, in which it is not.
	}
	info, err := os.Lstat(path)
	back := err == nil && info.Mode().IsRegular()
	if !reader.begun || !back && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	since, known := r.vanished[path]
	if !known {
		since = time.Now()
		r.vanished[path] = since
	}
	left := vanishedFor - time.Since(since)
	if left <= 0 {
		return false
	}
	r.tree.changed, r.tree.restructured = true, true
	if back {
		r.tree.dirty[filepath.Dir(path)] = true
	}
	reader.retryIn(left)
	return true
}

// regrouped says whether a file came or went since the picture was assembled.
func (r *root) regrouped() bool {
	return slices.ContainsFunc(r.edits, func(e edit) bool { return e.before == nil || e.after == nil })
}

// put takes up a file. One that brings too many objects keeps its last good content.
func (r *root) put(next *tracked[content], limit int) {
	known := r.files[next.path].contentOrNil()
	if size := r.size - known.size() + next.content.size(); size > limit && next.content.size() > known.size() {
		next.content = known.frozen(next.path, tooManyObjects(size, limit))
	}
	r.size += next.content.size() - known.size()
	if known != next.content {
		r.edits = append(r.edits, edit{known, next.content})
	}
	r.files[next.path] = next
}

func (t *tracked[T]) contentOrNil() *T {
	if t == nil {
		return nil
	}
	return t.content
}

func (t *tracked[T]) stampOrNil() *stamp {
	if t == nil {
		return nil
	}
	return &t.stamp
}

// sorted are the root's files in path order.
func (r *root) sorted() []*tracked[content] {
	return slices.SortedFunc(maps.Values(r.files), func(a, b *tracked[content]) int { return comparePaths(a.path, b.path) })
}

// exclude takes up which directories hold clusters' objects. A file in such a directory names none.
func (r *root) exclude() {
	var naming []*tracked[content]
	for _, f := range r.files {
		if f.content != nil && len(f.content.directories) > 0 {
			naming = append(naming, f)
		}
	}
	slices.SortFunc(naming, func(a, b *tracked[content]) int { return comparePaths(a.path, b.path) })
	r.excluded = nil
	for _, f := range naming {
		if r.isExcluded(f.path) {
			continue
		}
		for _, directory := range f.content.directories {
			if dir, ok := r.resolve(directory); ok && !below(f.path, dir) {
				r.excluded = append(r.excluded, dir)
			}
		}
	}
}

// isExcluded says whether a path is in the directory of some cluster's objects.
func (r *root) isExcluded(path string) bool {
	return slices.ContainsFunc(r.excluded, func(dir string) bool { return below(path, dir) })
}

// resolve makes a directory of the configuration a path, and says whether it is below the root.
func (r *root) resolve(directory string) (string, bool) {
	clean := filepath.Clean(filepath.FromSlash(directory))
	return filepath.Join(r.base, clean), clean != "." && filepath.IsLocal(clean)
}

// realBase is base without symbolic links.
func (r *root) realBase() string {
	resolved, err := filepath.EvalSymlinks(r.base)
	if err != nil {
		return r.base
	}
	return resolved
}

// below says whether a path is a directory or in it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}
