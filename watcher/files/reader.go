package files

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/podway/podway/api/v1alpha1"
)

// reader reads roots and makes States. It belongs to one goroutine.
type reader struct {
	Options
	roots    []*root
	clusters map[string]*cluster
	// watch is called with the real path of each directory before it is listed; it may be nil.
	watch func(resolved string)

	state State
	// begun is true once there is a State.
	begun bool

	// retry says when to look again, 0 for not; again are the files to read then, whatever they look like.
	retry    time.Duration
	again    map[string]bool
	settling map[string]*settling
	// writing says whether somebody writes to a file, as beingWritten does.
	writing func(*os.File) (writing, sure bool)
}

// newReader makes a reader of files and directories. It reads nothing yet.
func newReader(paths []string, options Options, watch func(string)) *reader {
	r := &reader{
		Options: options.withDefaults(), clusters: map[string]*cluster{}, watch: watch,
		again: map[string]bool{}, settling: map[string]*settling{}, writing: beingWritten,
	}
	for _, path := range paths {
		r.roots = append(r.roots, newRoot(path, r.MaxFiles, watch))
	}
	return r
}

// refresh reads what changed: all that looks different with all, otherwise what is in directories that are marked dirty, and
// the forced paths. It says whether there is another State now. An error says that a root cannot be read at first.
func (r *reader) refresh(all bool, forced map[string]bool) (changed bool, err error) {
	for path := range r.again {
		forced[path] = true
	}
	clear(r.again)
	r.retry = 0
	seen := map[string]bool{}
	for _, root := range r.roots {
		if err := root.refresh(r, all, forced, seen); err != nil {
			return false, err
		}
	}
	a := r.assemble()
	r.refreshClusters(a, all, forced)
	maps.DeleteFunc(r.settling, func(path string, _ *settling) bool { return !r.again[path] })
	a.addClusters(r.clusters)
	return r.publish(a), nil
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
			continue // Validation has refused such a path.
		}
		present[name] = true
		c := r.clusters[name]
		if c == nil || c.tree.root != directory {
			c = newCluster(name, directory, r.MaxFiles, r.watch)
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

// mark notes what a notification is about: a real path. It says whether that is of any concern.
func (r *reader) mark(resolved string, written bool) bool {
	concerned := false
	mark := func(t *tree, directories map[string][]string) {
		inside := directories[filepath.Dir(resolved)]
		for _, path := range directories[resolved] {
			t.dirty[path], concerned = true, true
		}
		if len(inside) == 0 {
			return
		}
		concerned = true
		if written && t.touch(resolved, inside) {
			return
		}
		for _, path := range inside {
			t.dirty[path] = true
		}
	}
	for _, root := range r.roots {
		mark(root.tree, root.directories)
	}
	for _, c := range r.clusters {
		mark(c.tree, c.directories)
	}
	return concerned
}

// wanted are the real directories to watch.
func (r *reader) wanted() map[string]bool {
	out := map[string]bool{}
	for _, root := range r.roots {
		for resolved := range root.directories {
			out[resolved] = true
		}
	}
	for _, c := range r.clusters {
		for resolved := range c.directories {
			out[resolved] = true
		}
	}
	return out
}

// errRoot says that a root cannot be read.
func errRoot(path string, err error) error {
	return fmt.Errorf("%s cannot be read: %w", path, err)
}
