package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// cluster is a member cluster whose objects are files.
type cluster struct {
	name  string
	tree  *tree
	files map[string]*tracked[objectFile]
	// synced is true once the directory was read.
	synced bool
	// directories of the last walk that succeeded, by real path.
	directories map[string][]string
	// size is how many objects the files have.
	size     int
	index    *index
	problems []api.Problem
}

func newCluster(name, directory string, limit int, watch func(string)) *cluster {
	c := &cluster{name: name, tree: newTree(directory, limit), files: map[string]*tracked[objectFile]{}, index: newIndex(name)}
	c.tree.watch = watch
	return c
}

// refresh reads what changed. base is the real configuration directory. What cannot be read freezes the cluster. It says whether a
// Service or a problem changed; Pods are not among that.
func (c *cluster) refresh(r *reader, base string, all bool, forced map[string]bool) (changed bool) {
	if !all && !c.tree.changed && c.synced {
		return false
	}
	c.tree.changed, r.clustersRead = false, true
	before, synced := c.problems, c.synced
	c.problems = nil
	if walked, err := c.walk(base, all); err != nil {
		c.freeze(r, err)
	} else {
		walked.lookAgain(r, c.tree)
		c.directories, c.synced = walked.directories, true
		c.problems = append(c.problems, walked.problems...)
		c.read(r, walked.files, forced)
		changed = c.index.join()
	}
	c.problems = append(c.problems, c.index.problems()...)
	for _, file := range c.files {
		c.problems = append(c.problems, file.content.problems...)
	}
	c.problems = api.SortProblems(c.problems)
	return changed || synced != c.synced || !slices.Equal(before, c.problems)
}

// freeze keeps what was read of the cluster, and looks again soon.
func (c *cluster) freeze(r *reader, err error) {
	c.tree.changed = true
	r.retryIn(frozenRetry)
	p := unreadable(c.tree.root, fmt.Sprintf("the objects of cluster %s cannot be read: %v", c.name, reasonOf(err)), "put them into that directory below the configuration directory")
	if c.synced {
		p.Message += "; what was read of them stays in force"
	}
	p.Object = api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindMemberCluster, Name: c.name}
	p.Field = "spec.source.objects.directory"
	c.problems = append(c.problems, p)
}

// walk lists the directory, which must be below base also where symbolic links lead.
func (c *cluster) walk(base string, all bool) (*walked, error) {
	resolved, err := filepath.EvalSymlinks(c.tree.root)
	if err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(base, resolved); err != nil || !filepath.IsLocal(rel) {
		return nil, errors.New("a symbolic link leads out of the configuration directory")
	}
	if info, err := os.Stat(resolved); err == nil && !info.IsDir() {
		return nil, errors.New("it is not a directory")
	}
	return c.tree.walk(all)
}

// read reads the files that changed.
func (c *cluster) read(r *reader, files []found, forced map[string]bool) {
	present := make(map[string]bool, len(files))
	for _, f := range files {
		present[f.path] = true
		known := c.files[f.path]
		if known != nil && known.stamp.equal(f.stamp) && !forced[f.path] && !forced[f.resolved] {
			continue
		}
		text, ok := r.read(f, known.stampOrNil(), r.MaxObjectFileBytes)
		if !ok {
			continue
		}
		next := &tracked[objectFile]{found: found{path: f.path, resolved: f.resolved, stamp: text.stamp}}
		if isEmptied(known, text.bytes, text.stamp) && len(known.content.items) > 0 {
			text.problem = emptied()
		}
		if text.problem != nil {
			next.content = known.contentOrNil().frozen(f.path, *text.problem)
		} else {
			next.content = parseObjects(c.name, f.path, text.bytes, known.contentOrNil())
		}
		c.put(next, r.MaxObjects)
	}
	for path, file := range c.files {
		if !present[path] {
			c.size -= len(file.content.items)
			c.index.replace(path, file.content.items, nil)
			delete(c.files, path)
		}
	}
}

// put takes up a file. One that brings too many objects keeps its last good content.
func (c *cluster) put(next *tracked[objectFile], limit int) {
	known := c.files[next.path].contentOrNil()
	var old []held
	if known != nil {
		old = known.items
	}
	if size := c.size - len(old) + len(next.content.items); size > limit && len(next.content.items) > len(old) {
		next.content = known.frozen(next.path, tooManyObjects(size, limit))
	}
	c.size += len(next.content.items) - len(old)
	c.index.replace(next.path, old, next.content.items)
	c.files[next.path] = next
}

func duplicate(ref api.ObjectRef, file string, line int, firstFile string, firstLine int) api.Problem {
	return api.Problem{
		Code: api.CodeDuplicateObject, Severity: api.Error, Object: ref, File: file, Line: line,
		Message: fmt.Sprintf("the object is also at %s:%d, which is the one in force", firstFile, firstLine),
		Remedy:  "remove one of the two",
	}
}

func tooManyObjects(size, limit int) api.Problem {
	return api.Problem{
		Code: api.CodeTooLarge, Severity: api.Error,
		Message: fmt.Sprintf("with this file there are %d objects; at most %d are read", size, limit),
		Remedy:  "remove objects that no tunnel uses",
	}
}
