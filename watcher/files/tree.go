package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// listing is what a directory held. Paths begin with the root as it was given.
type listing struct {
	resolved string
	// home is where its files lie: resolved, or the version of a volume that was published last.
	home    string
	files   []found
	subs    []string
	watched []string
	// problems are those of the directory or of single entries; failed is why it cannot be listed.
	problems []api.Problem
	failed   error
}

// found is a file that is to be read. home is that of the listing that it is from.
type found struct {
	path, resolved, home string
	stamp                stamp
}

// stamp tells one version of a file from another.
type stamp struct {
	size     int64
	modified time.Time
	info     fs.FileInfo
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{size: info.Size(), modified: info.ModTime(), info: info}
}

// sameFile says whether two stamps are of one inode.
func (s stamp) sameFile(other stamp) bool {
	return s.info != nil && other.info != nil && os.SameFile(s.info, other.info)
}

func (s stamp) equal(other stamp) bool {
	return s.size == other.size && s.modified.Equal(other.modified) && s.sameFile(other)
}

// walked is what a walk found.
type walked struct {
	// files are sorted by path; each real file is there once.
	files []found
	// directories are the real ones to watch, with the listings that they concern.
	directories map[string][]string
	problems    []api.Problem
}

const maxTreeDepth = 64

func newTree(root string, limit int) *tree {
	return &tree{root: filepath.Clean(root), limit: limit, listings: map[string]*listing{}, dirty: map[string]bool{}, edited: map[string]bool{}, restructured: true}
}

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
		i, there := slices.BinarySearchFunc(known.files, path, func(f found, path string) int { return strings.Compare(f.path, path) })
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
		j, there := slices.BinarySearchFunc(known.files, path, func(f found, path string) int { return strings.Compare(f.path, path) })
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

// homeOf is where the files of a path's directory lie now, or "".
func (t *tree) homeOf(path string) string {
	if known := t.listings[filepath.Dir(path)]; known != nil {
		return known.home
	}
	return ""
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

// listTries is how often a directory is listed that is replaced meanwhile, as one is by swapping a symbolic link.
const listTries = 5

// list reads a directory. Where that fails, what was known of it stays, with a problem.
func (w *walk) list(path string, known *listing) *listing {
	for tries := 1; ; tries++ {
		// What is listed while it is replaced may be of two versions, of which the older one is gone.
		if out, whole := w.listOnce(path, known); whole || tries == listTries {
			return out
		}
	}
}

// listOnce is list, and says whether the directory was the same all the while.
func (w *walk) listOnce(path string, known *listing) (out *listing, whole bool) {
	out = &listing{}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return w.unlisted(path, known, out, err), true
	}
	out.resolved, out.home = resolved, resolved
	if w.watch != nil {
		w.watch(resolved)
	}
	entries, err := os.ReadDir(resolved)
	if err != nil {
		return w.unlisted(path, known, out, err), isAt(path, resolved)
	}
	whole = true
	// The link itself may be missing from entries that are read while it is replaced.
	if through := filepath.Join(resolved, publishedName); isLink(through) {
		volume, err := filepath.EvalSymlinks(through)
		published, listErr := os.ReadDir(volume)
		switch {
		case err != nil || listErr != nil:
			whole = false // If it stays so, each name that leads through it says it.
		case w.inside(volume):
			entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return isPublished(resolved, e) })
			out.home, out.watched = volume, append(out.watched, volume)
			if whole, err = w.entries(out, known, path, volume, published); err != nil {
				return w.unlisted(path, known, out, err), true
			}
			defer func() { whole = whole && isAt(through, volume) }()
		}
	}
	there, err := w.entries(out, known, path, resolved, entries)
	if err != nil {
		return w.unlisted(path, known, out, err), true
	}
	slices.SortFunc(out.files, func(a, b found) int { return strings.Compare(a.path, b.path) })
	return out, whole && there && isAt(path, resolved)
}

// entries adds those of one real directory, and says whether all of them were still there.
func (w *walk) entries(out, known *listing, dir, at string, entries []fs.DirEntry) (whole bool, err error) {
	whole = true
	for _, entry := range entries {
		there, err := w.entry(out, known, dir, at, entry)
		if err != nil {
			return false, err
		}
		whole = whole && there
	}
	return whole, nil
}

// isAt says whether a path leads to a real one.
func isAt(path, resolved string) bool {
	now, err := filepath.EvalSymlinks(path)
	return err == nil && now == resolved
}

// unlisted is the listing of a directory that cannot be read.
func (w *walk) unlisted(path string, known, out *listing, err error) *listing {
	if errors.Is(err, fs.ErrNotExist) && path != w.root && !isLink(path) {
		return out // Its parent will say so, too.
	}
	if known != nil {
		kept := *known
		out = &kept
	}
	p := unreadable(path, "the directory cannot be read: "+reasonOf(err).Error(), "let podway read and enter it, or remove it")
	if known != nil {
		p.Message += stays
	}
	out.problems, out.failed = []api.Problem{p}, err
	return out
}

// publishedName is the link by which kubelet brings a new version of a volume into force, with all its files at once. The names beside it, which lead
// through it, come and go a little later.
const publishedName = "..data"

// isPublished says whether an entry leads through the link of a volume.
func isPublished(resolved string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return false
	}
	target, err := os.Readlink(filepath.Join(resolved, entry.Name()))
	return err == nil && strings.HasPrefix(target, publishedName+string(filepath.Separator))
}

// entry adds one entry of a directory to its listing, of which known is the one before; at is where the entry lies. A symbolic link that leads
// nowhere keeps what it led to. there is false for what is gone already.
func (w *walk) entry(out, known *listing, dir, at string, entry fs.DirEntry) (there bool, err error) {
	if strings.HasPrefix(entry.Name(), ".") {
		return true, nil
	}
	path := filepath.Join(dir, entry.Name())
	resolved := filepath.Join(at, entry.Name())
	if entry.Type()&fs.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(resolved)
		if err != nil {
			if there = isLink(resolved); there {
				w.dangling(out, known, path, err)
			}
			return there, nil
		}
		if !w.inside(target) {
			if isConfigFile(path) {
				out.problems = append(out.problems, unreadable(path, "the symbolic link leads out of the directory, and is not followed", "copy the file into the directory"))
			}
			return true, nil
		}
		resolved = target
		out.watched = append(out.watched, filepath.Dir(target))
	}
	info, err := os.Stat(resolved)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return true, err
	case info.IsDir():
		out.subs = append(out.subs, path)
	case info.Mode().IsRegular() && isConfigFile(path):
		out.files = append(out.files, found{path: path, resolved: resolved, home: out.home, stamp: stampOf(info)})
	}
	return true, nil
}

// dangling adds a symbolic link that leads nowhere.
func (w *walk) dangling(out, known *listing, path string, err error) {
	directory, kept := false, ""
	if known != nil {
		if i := slices.IndexFunc(known.files, func(f found) bool { return f.path == path }); i >= 0 {
			out.files, kept = append(out.files, known.files[i]), stays
		}
		if directory = slices.Contains(known.subs, path); directory {
			out.subs = append(out.subs, path) // its own listing will say so
		}
	}
	if !directory && isConfigFile(path) {
		out.problems = append(out.problems, unreadable(path, "the symbolic link leads nowhere: "+reasonOf(err).Error()+kept, "correct or remove the link"))
	}
	// It may be made whole there.
	if target, err := os.Readlink(filepath.Join(out.resolved, filepath.Base(path))); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(out.resolved, target)
		}
		if near, err := filepath.EvalSymlinks(filepath.Dir(target)); err == nil && w.inside(near) {
			out.watched = append(out.watched, near)
		}
	}
}

// isLink says whether there is a symbolic link, wherever it leads.
func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// inside says whether a real path is below the root.
func (t *tree) inside(resolved string) bool {
	rel, err := filepath.Rel(t.rootReal, resolved)
	return err == nil && filepath.IsLocal(rel)
}

func isConfigFile(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
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
