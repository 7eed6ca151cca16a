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
		a.cfg.Problems = append(a.cfg.Problems, root.problems...)
		for _, file := range root.sorted() {
			a.cfg.Problems = append(a.cfg.Problems, file.content.problems...)
			for _, o := range file.content.objects {
				a.add(root, file.path, o)
			}
		}
	}
	return a
}

func (a *assembly) add(root *root, path string, o *placed) {
	if first := a.cfg.Origins[o.ref]; first != nil {
		a.cfg.Problems = append(a.cfg.Problems, duplicate(o.ref, path, o.origin.Line, first.File, first.Line))
		return
	}
	a.cfg.Origins[o.ref] = o.origin
	o.kind.put(a.cfg, o.value)
	if o.kind.name == v1alpha1.KindMemberCluster {
		a.rootOf[o.ref.Name] = root
	}
}

// with is the picture of the configuration with what was read of the member clusters.
func (a *assembly) with(clusters map[string]*cluster) *snapshot.Config {
	cfg := *a.cfg
	cfg.Services, cfg.Synced = map[pods.ServiceKey]*pods.Service{}, map[string]*snapshot.Scope{}
	cfg.Origins, cfg.Problems = maps.Clone(cfg.Origins), slices.Clone(cfg.Problems)
	for name, c := range clusters {
		if c.synced {
			cfg.Synced[name] = snapshot.Everything
		}
		cfg.Problems = append(cfg.Problems, c.problems...)
		maps.Copy(cfg.Services, c.index.services)
		maps.Copy(cfg.Origins, c.index.origins)
	}
	for i := range cfg.Problems {
		cfg.Problems[i] = cfg.Locate(cfg.Problems[i])
	}
	cfg.Problems = api.SortProblems(cfg.Problems)
	return &cfg
}

// publish makes what was read the State, and says whether it differs from the one before. configured is false where nothing but Pods can have
// changed.
func (r *reader) publish(configured bool) bool {
	next := State{Config: r.state.Config, Pods: map[pods.ServiceKey]*pods.Set{}, Changed: map[pods.ServiceKey]*pods.Set{}}
	if configured || next.Config == nil {
		if cfg := r.base.with(r.clusters); next.Config == nil || !sameConfig(next.Config, cfg) {
			cfg.Now = r.Now()
			next.Config = cfg
		}
	}
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
	changed := !r.begun || next.Config != r.state.Config || len(next.Changed)+len(next.Gone) > 0
	if changed {
		r.state, r.begun = next, true
	}
	return changed
}

// sameConfig compares two pictures by their pointers, and their problems.
func sameConfig(a, b *snapshot.Config) bool {
	return maps.Equal(a.Tunnels, b.Tunnels) && maps.Equal(a.MemberClusters, b.MemberClusters) &&
		maps.Equal(a.GatewayParameters, b.GatewayParameters) && maps.Equal(a.GatewayClasses, b.GatewayClasses) &&
		maps.Equal(a.Gateways, b.Gateways) && maps.Equal(a.HTTPRoutes, b.HTTPRoutes) &&
		maps.Equal(a.ReferenceGrants, b.ReferenceGrants) && maps.Equal(a.Namespaces, b.Namespaces) &&
		maps.Equal(a.Secrets, b.Secrets) && maps.Equal(a.ConfigMaps, b.ConfigMaps) &&
		maps.Equal(a.Services, b.Services) && maps.Equal(a.Synced, b.Synced) &&
		maps.Equal(a.Origins, b.Origins) && slices.Equal(a.Problems, b.Problems)
}
