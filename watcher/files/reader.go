package files

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// reader reads roots and makes States. It belongs to one goroutine.
type reader struct {
	Options
	roots    []*root
	clusters map[string]*cluster
	watch    func(real string)
	state    State
	begun    bool
	// settle keeps what is perhaps half written out; retry says when to look again, 0 for not.
	settling map[string]time.Time
	retry    time.Duration
}

// root is one directory, or file, of configuration.
type root struct {
	tree *tree
	// base is the directory that paths in the configuration are relative to.
	base        string
	files       map[string]*tracked[content]
	directories map[string][]string
	problems    []api.Problem
}

func newReader(paths []string, options Options, watch func(string)) *reader {
	r := &reader{Options: options.withDefaults(), clusters: map[string]*cluster{}, watch: watch, settling: map[string]time.Time{}}
	for _, path := range paths {
		t := newTree(path, r.MaxFiles)
		t.watch = watch
		r.roots = append(r.roots, &root{tree: t, base: t.root, files: map[string]*tracked[content]{}})
	}
	return r
}

// refresh reads what changed: everything that looks different with all, otherwise what is below dirty directories and the
// forced paths. It returns an error only where a root cannot be read at first.
func (r *reader) refresh(all bool, forced map[string]bool) (changed bool, err error) {
	r.retry = 0
	seen := map[string]bool{}
	for _, root := range r.roots {
		if err := r.refreshRoot(root, all, forced, seen); err != nil {
			return false, err
		}
	}
	a := r.assemble()
	r.refreshClusters(a, all, forced)
	a.addClusters(r.clusters)
	return r.publish(a), nil
}

func (r *reader) refreshRoot(root *root, all bool, forced, seen map[string]bool) error {
	root.tree.skip = func(path string) bool { return root.excluded(path) }
	walked, err := root.tree.walk(all)
	if err != nil {
		err = fmt.Errorf("reading the configuration %s: %w", root.tree.root, errors.New(reason(err)))
		if !r.begun {
			return err
		}
		root.problems = []api.Problem{unreadable(root.tree.root, err.Error()+"; what was read of it stays in force", "bring the directory back, or let podway read it")}
		return nil
	}
	if len(walked.files) == 1 && walked.files[0].path == root.tree.root {
		root.base = filepath.Dir(root.tree.root)
	}
	root.directories, root.problems = walked.directories, walked.problems
	files := slices.DeleteFunc(walked.files, func(f found) bool {
		again := seen[f.real]
		seen[f.real] = true
		return again
	})
	r.readConfig(root, files, forced)
	return nil
}

// readConfig reads the configuration files that changed. Those that name the directories of objects come first: what is
// in such a directory is no configuration.
func (r *reader) readConfig(root *root, files []found, forced map[string]bool) {
	present := map[string]bool{}
	texts := map[string][]byte{}
	var later []found
	for _, f := range files {
		present[f.path] = true
		known := root.files[f.path]
		if known != nil && known.stamp.equal(f.stamp) && !forced[f.path] && !forced[f.real] || root.excluded(f.path) {
			continue
		}
		text, at, ok, problem := r.read(f, r.MaxFileBytes, "--max-file-bytes", known != nil)
		if !ok {
			continue
		}
		f.stamp = at
		switch {
		case problem != nil:
			root.files[f.path] = &tracked[content]{found: f, content: root.content(f.path).frozen(f.path, *problem)}
		case strings.Contains(string(text), v1alpha1.KindMemberCluster):
			root.files[f.path] = &tracked[content]{found: f, content: parse(f.path, text, root.content(f.path))}
		default:
			texts[f.path] = text
			later = append(later, f)
		}
	}
	for _, f := range later {
		if !root.excluded(f.path) {
			root.files[f.path] = &tracked[content]{found: f, content: parse(f.path, texts[f.path], root.content(f.path))}
		}
	}
	for path := range root.files {
		if !present[path] || root.excluded(path) {
			delete(root.files, path)
		}
	}
	root.problems = slices.DeleteFunc(root.problems, func(p api.Problem) bool { return root.excluded(p.File) })
}

func (r *root) content(path string) *content {
	if known := r.files[path]; known != nil {
		return known.content
	}
	return nil
}

// sorted are the root's files in path order.
func (r *root) sorted() []*tracked[content] {
	return slices.SortedFunc(maps.Values(r.files), func(a, b *tracked[content]) int { return comparePaths(a.path, b.path) })
}

// excluded says whether a path is in the directory of some cluster's objects.
func (r *root) excluded(path string) bool {
	for _, f := range r.files {
		for _, directory := range f.content.directories {
			if dir, ok := r.resolve(directory); ok && below(path, dir) && !below(f.path, dir) {
				return true
			}
		}
	}
	return false
}

// resolve makes a directory of the configuration a path, and says whether it is below the root.
func (r *root) resolve(directory string) (string, bool) {
	clean := filepath.Clean(filepath.FromSlash(directory))
	return filepath.Join(r.base, clean), clean != "." && filepath.IsLocal(clean)
}

// below says whether a path is a directory or in it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}

// read reads a file once it holds still. ok is false where it is to be read again shortly; what was known of it stays meanwhile.
func (r *reader) read(f found, limit int64, option string, known bool) (text []byte, at stamp, ok bool, problem *api.Problem) {
	text, at, unstable, problem := read(f, limit, option)
	if unstable && known {
		r.again(2 * time.Millisecond)
		return nil, at, false, nil
	}
	return text, at, true, problem
}

func (r *reader) again(after time.Duration) {
	if r.retry == 0 || after < r.retry {
		r.retry = after
	}
}

// refreshClusters follows the clusters whose objects are files.
func (r *reader) refreshClusters(a *assembly, all bool, forced map[string]bool) {
	present := map[string]bool{}
	for name, m := range a.cfg.MemberClusters {
		if m.Spec.Source.Type != v1alpha1.ClusterSourceObjects || m.Spec.Source.Objects == nil {
			continue
		}
		root := a.rootOf[name]
		directory, ok := root.resolve(m.Spec.Source.Objects.Directory)
		if !ok {
			continue
		}
		present[name] = true
		c := r.clusters[name]
		if c == nil || c.tree.root != directory {
			c = newCluster(name, directory, r.Options, r.watch)
			r.clusters[name] = c
		}
		c.refresh(r, root.realBase(), all, forced)
	}
	for name := range r.clusters {
		if !present[name] {
			delete(r.clusters, name)
		}
	}
}

func (r *root) realBase() string {
	real, err := filepath.EvalSymlinks(r.base)
	if err != nil {
		return r.base
	}
	return real
}
