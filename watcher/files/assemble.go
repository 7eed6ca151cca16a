package files

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// assembly is a picture in the making.
type assembly struct {
	cfg *snapshot.Config
	// rootOf says under which root each MemberCluster was found.
	rootOf map[string]*root
	// duplicates are the problems of objects that are there more than once.
	duplicates []api.Problem
}

// reassemble brings the picture of the configuration files up to date: what was edited, where that has nothing to do with other files, else all.
func (r *reader) reassemble() {
	var edits []edit
	for _, root := range r.roots {
		edits = append(edits, root.edits...)
		root.edits = nil
	}
	next, ok := r.base.edited(edits)
	if !ok {
		next = r.assemble()
	}
	next.cfg.Problems = slices.Clone(next.duplicates)
	for _, root := range r.roots {
		next.cfg.Problems = append(next.cfg.Problems, root.problems...)
		for _, file := range root.files {
			next.cfg.Problems = append(next.cfg.Problems, file.content.problems...)
		}
	}
	r.base = next
}

// assemble puts what the configuration files hold into one picture. Of two objects with one name, the first in path order counts.
func (r *reader) assemble() *assembly {
	a := &assembly{rootOf: map[string]*root{}, cfg: &snapshot.Config{
		Tunnels:           map[types.NamespacedName]*v1alpha1.Tunnel{},
		MemberClusters:    map[string]*v1alpha1.MemberCluster{},
		GatewayParameters: map[types.NamespacedName]*v1alpha1.GatewayParameters{},
		GatewayClasses:    map[string]*gatewayv1.GatewayClass{},
		Gateways:          map[types.NamespacedName]*gatewayv1.Gateway{},
		HTTPRoutes:        map[types.NamespacedName]*gatewayv1.HTTPRoute{},
		ReferenceGrants:   map[types.NamespacedName]*gatewayv1.ReferenceGrant{},
		Namespaces:        map[string]*corev1.Namespace{},
		Secrets:           map[types.NamespacedName]*corev1.Secret{},
		ConfigMaps:        map[types.NamespacedName]*corev1.ConfigMap{},
		Services:          map[pods.ServiceKey]*pods.Service{},
		Synced:            map[string]*snapshot.Scope{},
		Origins:           map[api.ObjectRef]*snapshot.Origin{},
	}}
	for _, root := range r.roots {
		for _, file := range root.sorted() {
			for _, o := range file.content.objects {
				a.add(root, file.path, o)
			}
		}
	}
	return a
}

func (a *assembly) add(root *root, path string, o *placed) {
	if first := a.cfg.Origins[o.ref]; first != nil {
		a.duplicates = append(a.duplicates, duplicate(o.ref, path, o.origin.Line, first.File, first.Line))
		return
	}
	a.cfg.Origins[o.ref] = o.origin
	o.kind.objects.put(a.cfg, o.ref, o.value)
	if o.kind.name == v1alpha1.KindMemberCluster {
		a.rootOf[o.ref.Name] = root
	}
}

// join is the picture of the configuration with what was read of the member clusters. Where clustered is false they have nothing new but Pods, and
// it shares what the State's Config has of them.
func (r *reader) join(clustered bool) *snapshot.Config {
	cfg, before := *r.base.cfg, r.state.Config
	stay := before != nil && !clustered
	if stay {
		cfg.Services, cfg.Synced = before.Services, before.Synced
	} else {
		cfg.Services, cfg.Synced = map[pods.ServiceKey]*pods.Service{}, map[string]*snapshot.Scope{}
		for name, c := range r.clusters {
			if c.synced {
				cfg.Synced[name] = snapshot.Everything
			}
			maps.Copy(cfg.Services, c.index.services)
		}
	}
	switch {
	case stay && snapshot.SameMap(cfg.Origins, r.joined.Origins):
		cfg.Origins = before.Origins
	case len(r.clusters) > 0:
		cfg.Origins = maps.Clone(cfg.Origins)
		for _, c := range r.clusters {
			maps.Copy(cfg.Origins, c.index.origins)
		}
	}
	r.joined = r.base.cfg
	cfg.Problems = slices.Clone(cfg.Problems)
	for _, c := range r.clusters {
		cfg.Problems = append(cfg.Problems, c.problems...)
	}
	for i := range cfg.Problems {
		cfg.Problems[i] = cfg.Locate(cfg.Problems[i])
	}
	cfg.Problems = api.SortProblems(cfg.Problems)
	return &cfg
}

// publish makes what was read the State, and says whether it differs from the one before. configured is false where the configuration files, and
// clustered where the clusters of which the objects are files have nothing new but Pods.
func (r *reader) publish(configured, clustered bool) bool {
	next := State{Config: r.state.Config, Pods: r.state.Pods, Changed: map[pods.ServiceKey]*pods.Set{}}
	if configured || clustered || next.Config == nil {
		if cfg := r.join(clustered); next.Config == nil || !sameConfig(next.Config, cfg) {
			cfg.Now = r.Now()
			next.Config = cfg
		}
	}
	if r.clustersRead || next.Pods == nil {
		next.Pods = map[pods.ServiceKey]*pods.Set{}
		r.comparePods(&next)
	}
	changed := !r.begun || next.Config != r.state.Config || len(next.Changed)+len(next.Gone) > 0
	if changed {
		r.state, r.begun = next, true
	}
	return changed
}

// comparePods collects the Pods of all clusters, and says how they differ from those of the State before.
func (r *reader) comparePods(next *State) {
	for _, c := range r.clusters {
		for key, set := range c.index.sets {
			next.Pods[key] = set
			if r.state.Pods[key] != set {
				next.Changed[key] = set
			}
		}
	}
	for key := range r.state.Pods {
		if _, ok := next.Pods[key]; !ok {
			next.Gone = append(next.Gone, key)
		}
	}
	slices.SortFunc(next.Gone, func(x, y pods.ServiceKey) int { return strings.Compare(x.String(), y.String()) })
}

// sameConfig compares two pictures by their pointers, and their problems.
func sameConfig(a, b *snapshot.Config) bool {
	return snapshot.EqualMaps(a.Tunnels, b.Tunnels) && snapshot.EqualMaps(a.MemberClusters, b.MemberClusters) &&
		snapshot.EqualMaps(a.GatewayParameters, b.GatewayParameters) && snapshot.EqualMaps(a.GatewayClasses, b.GatewayClasses) &&
		snapshot.EqualMaps(a.Gateways, b.Gateways) && snapshot.EqualMaps(a.HTTPRoutes, b.HTTPRoutes) &&
		snapshot.EqualMaps(a.ReferenceGrants, b.ReferenceGrants) && snapshot.EqualMaps(a.Namespaces, b.Namespaces) &&
		snapshot.EqualMaps(a.Secrets, b.Secrets) && snapshot.EqualMaps(a.ConfigMaps, b.ConfigMaps) &&
		snapshot.EqualMaps(a.Services, b.Services) && snapshot.EqualMaps(a.Synced, b.Synced) &&
		snapshot.EqualMaps(a.Origins, b.Origins) && slices.Equal(a.Problems, b.Problems)
}
