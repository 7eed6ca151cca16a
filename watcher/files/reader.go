package files

import (
	"compress/flate"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// reader reads roots and makes States. It belongs to one goroutine.
type reader struct {
	Options
	roots    []*root
	clusters map[string]*cluster
	// watch is called with the real path of each directory before it is listed; it may be nil.
	watch func(resolved string)

	// base is what the configuration files hold, without what the clusters have.
	base  *assembly
	state State
	// joined is what the configuration files held when they were last joined with what the clusters have.
	joined *snapshot.Config
	// clustersRead is true where Pods may differ from those of the State.
	clustersRead bool
	// begun is true once there is a State.
	begun bool
	// waited is how long it has waited for who was writing before that.
	waited time.Duration
	// torn is true where a file of the configuration was gone when it was to be read. If all of them were replaced, what was read is of two versions.
	torn bool

	// remembers is true where what is worth keeping may have changed; packer is made once.
	remembers bool
	packer    *flate.Writer

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

// refresh reads what changed: all that looks different with all, otherwise what notifications marked, and the forced paths. It
// says whether there is another State now. An error says that a root cannot be read at first.
func (r *reader) refresh(all bool, forced map[string]bool) (changed bool, err error) {
	r.readAgain(forced)
	configured := r.base == nil
	r.clustersRead = false
	for tries, again := 1, true; again; tries++ {
		changed, err := r.refreshRoots(all, forced)
		if err != nil {
			return false, err
		}
		configured = configured || changed
		again = r.torn && tries < wholeTries
		all = all || again
	}
	if configured {
		r.reassemble()
	}
	r.remember()
	clustered := r.refreshClusters(all, forced)
	maps.DeleteFunc(r.settling, func(path string, _ *settling) bool { return !r.again[path] })
	return r.publish(configured, clustered), nil
}

// wholeTries is how often the configuration is read that is replaced meanwhile.
const wholeTries = 10

// refreshRoots reads what changed of the configuration, and says whether anything did.
func (r *reader) refreshRoots(all bool, forced map[string]bool) (changed bool, err error) {
	r.torn = false
	regrouped := false
	for _, root := range r.roots {
		if regrouped { // what an earlier root has no more, or has now, is this one's to take or to leave
			root.tree.changed, root.tree.restructured = true, true
		}
		read, err := root.refresh(r, all, forced)
		if err != nil {
			return false, err
		}
		changed = changed || read
		regrouped = regrouped || root.regrouped()
	}
	return changed, nil
}

// filesBefore are the real files that the roots before one have.
func (r *reader) filesBefore(one *root) map[string]bool {
	files := map[string]bool{}
	for _, root := range r.roots {
		if root == one {
			break
		}
		for _, f := range root.files {
			files[f.resolved] = true
		}
	}
	return files
}

// readAgain has the files read that were not still the last time.
func (r *reader) readAgain(forced map[string]bool) {
	r.retry = 0
	for path := range r.again {
		forced[path] = true
		for _, t := range r.trees() {
			if below(path, t.root) {
				t.changed, t.edited[path] = true, true
			}
		}
	}
	clear(r.again)
}

func (r *reader) trees() []*tree {
	out := make([]*tree, 0, len(r.roots)+len(r.clusters))
	for _, root := range r.roots {
		out = append(out, root.tree)
	}
	for _, c := range r.clusters {
		out = append(out, c.tree)
	}
	return out
}

// refreshClusters follows the clusters whose objects are files. It says whether one came or went, or has other Services or problems.
func (r *reader) refreshClusters(all bool, forced map[string]bool) (changed bool) {
	present := map[string]bool{}
	for name, m := range r.base.cfg.MemberClusters {
		if m.Spec.Source.Type != v1alpha1.ClusterSourceObjects || m.Spec.Source.Objects == nil {
			continue
		}
		root := r.base.rootOf[name]
		directory, ok := root.resolve(m.Spec.Source.Objects.Directory)
		if !ok {
			continue // Validation has refused such a path.
		}
		present[name] = true
		c := r.clusters[name]
		if c == nil || c.tree.root != directory {
			c, changed = newCluster(name, directory, r.MaxFiles, r.watch), true
			r.clusters[name] = c
		}
		changed = c.refresh(r, root.realBase(), all, forced) || changed
	}
	for name := range r.clusters {
		if !present[name] {
			delete(r.clusters, name)
			changed, r.clustersRead = true, true
		}
	}
	return changed
}

// mark notes what a notification is about: a real path. It says whether that is of any concern.
func (r *reader) mark(resolved string) bool {
	concerned := false
	mark := func(t *tree, directories map[string][]string) {
		itself, inside := directories[resolved], directories[filepath.Dir(resolved)]
		if len(itself)+len(inside) == 0 {
			return
		}
		t.changed, concerned = true, true
		for _, path := range itself {
			t.dirty[path] = true
		}
		if len(inside) > 0 && t.touch(resolved, inside) {
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
