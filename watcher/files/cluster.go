package files

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	join "github.com/podway/podway/watcher/slices"
)

// cluster is a member cluster whose objects are files.
type cluster struct {
	name   string
	tree   *tree
	files  map[string]*tracked[objectFile]
	synced bool
	// directories of the last walk that succeeded.
	directories map[string][]string

	objects  map[itemKey]held
	places   map[itemKey]string
	slices   map[types.NamespacedName]map[types.NamespacedName]bool // Service to the names of its EndpointSlices
	users    map[types.NamespacedName]map[types.NamespacedName]int  // Pod to the Services whose slices name it
	services map[pods.ServiceKey]*pods.Service
	sets     map[pods.ServiceKey]*pods.Set
	origins  map[api.ObjectRef]*snapshot.Origin
	problems []api.Problem
	// indexProblems are those of objects that are there twice, or too many.
	indexProblems []api.Problem
	joiner        join.Joiner
}

func newCluster(name, directory string, limit int, watch func(string)) *cluster {
	c := &cluster{
		name: name, tree: newTree(directory, limit), files: map[string]*tracked[objectFile]{},
		services: map[pods.ServiceKey]*pods.Service{}, sets: map[pods.ServiceKey]*pods.Set{},
	}
	c.tree.watch = watch
	return c
}

// refresh reads what changed. base is the real configuration directory. What cannot be read freezes the cluster.
func (c *cluster) refresh(r *reader, base string, all bool, forced map[string]bool) {
	c.problems = nil
	walked, err := c.walk(base, all)
	if err != nil {
		r.retryIn(frozenRetry)
		p := unreadable(c.tree.root, fmt.Sprintf("the objects of cluster %s cannot be read: %v", c.name, reasonOf(err)), "put them into that directory below the configuration directory")
		if c.synced {
			p.Message += "; what was read of them stays in force"
		}
		p.Object, p.Field = api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindMemberCluster, Name: c.name}, "spec.source.objects.directory"
		c.problems = append(c.problems, p)
		c.report()
		return
	}
	c.directories = walked.directories
	c.problems = append(c.problems, walked.problems...)
	if changed := c.read(r, walked.files, forced); changed || !c.synced {
		c.index(r.MaxObjects)
	}
	c.report()
	c.synced = true
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

// report adds the problems of the files to those of the cluster.
func (c *cluster) report() {
	c.problems = append(c.problems, c.indexProblems...)
	for _, file := range c.files {
		c.problems = append(c.problems, file.content.problems...)
	}
}

// read reads the files that changed, and says whether there were any.
func (c *cluster) read(r *reader, files []found, forced map[string]bool) bool {
	changed := false
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
		if text.problem != nil {
			next.content = known.contentOrNil().frozen(f.path, *text.problem)
		} else {
			next.content = parseObjects(c.name, f.path, text.bytes, known.contentOrNil())
		}
		c.files[f.path], changed = next, true
	}
	for path := range c.files {
		if !present[path] {
			delete(c.files, path)
			changed = true
		}
	}
	return changed
}

// index takes up what the files hold now, and joins again the Services that this concerns.
func (c *cluster) index(limit int) {
	c.indexProblems = nil
	objects, places := make(map[itemKey]held, len(c.objects)), make(map[itemKey]string, len(c.places))
	for _, path := range slices.SortedFunc(maps.Keys(c.files), comparePaths) {
		for _, h := range c.files[path].content.items {
			key := h.itemKey()
			if first, ok := places[key]; ok {
				c.indexProblems = append(c.indexProblems, duplicate(
					api.ObjectRef{Cluster: c.name, Kind: h.kind, Namespace: h.key.Namespace, Name: h.key.Name}, path, h.line, first, objects[key].line))
				continue
			}
			if len(objects) >= limit {
				c.indexProblems = append(c.indexProblems, tooManyObjects(path, h.line, limit))
				break
			}
			objects[key], places[key] = h, path
		}
	}
	old := c.objects
	c.objects, c.places = objects, places
	c.rejoin(c.concerned(old))
	c.locate()
}

// concerned are the Services whose own object, slices or Pods differ from before.
func (c *cluster) concerned(old map[itemKey]held) map[types.NamespacedName]bool {
	changed := map[itemKey]bool{}
	for key, h := range c.objects {
		if before, ok := old[key]; !ok || before.item != h.item {
			changed[key] = true
		}
	}
	for key := range old {
		if _, ok := c.objects[key]; !ok {
			changed[key] = true
		}
	}
	services := map[types.NamespacedName]bool{}
	podsChanged := []types.NamespacedName{}
	for key := range changed {
		switch key.kind {
		case kindService:
			services[key.NamespacedName] = true
		case kindPod:
			podsChanged = append(podsChanged, key.NamespacedName)
		case kindEndpointSlice:
			if before, ok := old[key]; ok {
				c.forget(before.endpoint, services)
			}
		}
	}
	for key := range changed {
		if h, ok := c.objects[key]; ok && key.kind == kindEndpointSlice {
			c.learn(h.endpoint, services)
		}
	}
	for _, pod := range podsChanged {
		for service := range c.users[pod] {
			services[service] = true
		}
	}
	return services
}

// learn takes up an EndpointSlice.
func (c *cluster) learn(slice *discoveryv1.EndpointSlice, services map[types.NamespacedName]bool) {
	service, ok := join.ServiceOf(slice)
	if !ok {
		return
	}
	services[service] = true
	if c.slices == nil {
		c.slices = map[types.NamespacedName]map[types.NamespacedName]bool{}
		c.users = map[types.NamespacedName]map[types.NamespacedName]int{}
	}
	if c.slices[service] == nil {
		c.slices[service] = map[types.NamespacedName]bool{}
	}
	c.slices[service][types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name}] = true
	for pod := range podsOf(slice) {
		if c.users[pod] == nil {
			c.users[pod] = map[types.NamespacedName]int{}
		}
		c.users[pod][service]++
	}
}

// forget lets go of an EndpointSlice.
func (c *cluster) forget(slice *discoveryv1.EndpointSlice, services map[types.NamespacedName]bool) {
	service, ok := join.ServiceOf(slice)
	if !ok {
		return
	}
	services[service] = true
	delete(c.slices[service], types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name})
	if len(c.slices[service]) == 0 {
		delete(c.slices, service)
	}
	for pod := range podsOf(slice) {
		if c.users[pod][service]--; c.users[pod][service] <= 0 {
			delete(c.users[pod], service)
		}
		if len(c.users[pod]) == 0 {
			delete(c.users, pod)
		}
	}
}

func podsOf(slice *discoveryv1.EndpointSlice) map[types.NamespacedName]bool {
	out := make(map[types.NamespacedName]bool, len(slice.Endpoints))
	for i := range slice.Endpoints {
		if ref := slice.Endpoints[i].TargetRef; ref != nil && ref.Kind == kindPod {
			namespace := ref.Namespace
			if namespace == "" {
				namespace = slice.Namespace
			}
			out[types.NamespacedName{Namespace: namespace, Name: ref.Name}] = true
		}
	}
	return out
}

// rejoin joins Services again. What comes out equal keeps its pointer.
func (c *cluster) rejoin(names map[types.NamespacedName]bool) {
	for name := range names {
		key := pods.ServiceKey{Cluster: c.name, Namespace: name.Namespace, Name: name.Name}
		h, ok := c.objects[itemKey{kind: kindService, NamespacedName: name}]
		if !ok {
			delete(c.services, key)
			delete(c.sets, key)
			continue
		}
		if service := join.Service(c.name, h.service); !join.EqualServices(service, c.services[key]) {
			c.services[key] = service
		}
		if set := c.joiner.Join(c.name, h.service, c.endpoints(name), c.labels); !join.EqualSets(set, c.sets[key]) {
			c.sets[key] = set
		}
	}
}

func (c *cluster) endpoints(service types.NamespacedName) []*discoveryv1.EndpointSlice {
	out := make([]*discoveryv1.EndpointSlice, 0, len(c.slices[service]))
	for name := range c.slices[service] {
		if h, ok := c.objects[itemKey{kind: kindEndpointSlice, NamespacedName: name}]; ok {
			out = append(out, h.endpoint)
		}
	}
	return out
}

func (c *cluster) labels(pod types.NamespacedName) map[string]string {
	return c.objects[itemKey{kind: kindPod, NamespacedName: pod}].labelsOrNil()
}

func (h held) labelsOrNil() map[string]string {
	if h.item == nil {
		return nil
	}
	return h.item.labels
}

// locate notes where the Services are.
func (c *cluster) locate() {
	old := c.origins
	c.origins = make(map[api.ObjectRef]*snapshot.Origin, len(c.services))
	for key := range c.services {
		ik := itemKey{kind: kindService, NamespacedName: types.NamespacedName{Namespace: key.Namespace, Name: key.Name}}
		ref := api.ObjectRef{Cluster: c.name, Kind: kindService, Namespace: key.Namespace, Name: key.Name}
		origin := &snapshot.Origin{File: c.places[ik], Line: c.objects[ik].line}
		if before := old[ref]; before != nil && before.File == origin.File && before.Line == origin.Line {
			origin = before
		}
		c.origins[ref] = origin
	}
}

func duplicate(ref api.ObjectRef, file string, line int, firstFile string, firstLine int) api.Problem {
	return api.Problem{
		Code: api.CodeDuplicateObject, Severity: api.Error, Object: ref, File: file, Line: line,
		Message: fmt.Sprintf("the object is also at %s:%d, which is the one in force", firstFile, firstLine),
		Remedy:  "remove one of the two",
	}
}

func tooManyObjects(file string, line, limit int) api.Problem {
	return api.Problem{
		Code: api.CodeTooLarge, Severity: api.Error, File: file, Line: line,
		Message: fmt.Sprintf("there are more than %d objects; those from here on are not in force", limit),
		Remedy:  "remove objects, or raise the limit of objects",
	}
}
