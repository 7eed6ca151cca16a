package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

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
