package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/podway/podway/api"
)

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
	slices.SortFunc(out.files, func(a, b found) int { return a.comparePath(b.path) })
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
	w.out.passing = w.out.passing || passes(err)
	return out
}
