package translator

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// Plan is what a configuration became: immutable, and the memory that makes
// the next translation incremental. Any number of goroutines may read it.
type Plan struct {
	cfg     *snapshot.Config
	grants  *grants
	tunnels map[types.NamespacedName]*tunnelPlan
	// gateways are by view.
	gateways map[types.NamespacedName]*gatewayPlan
	// names are those of all tunnels, sorted.
	names []types.NamespacedName
	// routes are the HTTPRoutes of each view.
	routes map[types.NamespacedName][]*gatewayv1.HTTPRoute
	// inForce are the tunnels that are not refused, sorted.
	inForce []types.NamespacedName
	// users are the tunnels in force that take Pods of a Service, sorted.
	users    map[pods.ServiceKey][]types.NamespacedName
	labeled  []pods.ServiceKey
	problems []api.Problem
	// homeless are the problems of Gateways that belong to no plan, unattached those of such routes.
	homeless, unattached []api.Problem
	// pems remembers what was parsed of Secrets and ConfigMaps.
	pems map[pemKey]*pemFile
}

// Need says what a plan must know of a Service's Pods.
type Need struct {
	// Labels is true where a tunnel selects Pods by their labels.
	Labels bool
}

// Endpoints is a tunnel's ClusterLoadAssignment, and what is wrong with its Pods.
type Endpoints struct {
	Resource *api.Resource
	// Count is how many endpoints the ClusterLoadAssignment has.
	Count    int
	Problems []api.Problem
}

// Problems are all that the translation found, sorted, with file and line
// where the source knows them. The source's own (Config.Problems) are not among them.
func (p *Plan) Problems() []api.Problem { return p.problems }

// Gateways are those that podway serves, sorted.
func (p *Plan) Gateways() []types.NamespacedName { return slices.DeleteFunc(p.Views(), isMinority) }

// Views are those of the Gateways that podway serves, which are called as they are, and of their minorities (Config.Minorities), sorted.
func (p *Plan) Views() []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(p.gateways), api.CompareNames)
}

// Resources are what the Envoys of a view should have, ClusterLoadAssignments
// aside, sorted by type and name; nil for a Gateway that is not served.
func (p *Plan) Resources(view types.NamespacedName) []*api.Resource {
	if plan := p.gateways[view]; plan != nil {
		return plan.resources
	}
	return nil
}

// Tunnels are those whose Clusters are among the view's resources, sorted.
func (p *Plan) Tunnels(view types.NamespacedName) []types.NamespacedName {
	if plan := p.gateways[view]; plan != nil {
		return plan.tunnels
	}
	return nil
}

// AllTunnels are the tunnels in force, whether a Gateway uses them or not, sorted. The slice is not to be changed.
func (p *Plan) AllTunnels() []types.NamespacedName { return p.inForce }

// InForce says whether a tunnel is among AllTunnels.
func (p *Plan) InForce(tunnel types.NamespacedName) bool {
	plan := p.tunnels[tunnel]
	return plan != nil && !plan.refused
}

// Served is the whole of what Envoys should have, by view: its resources, and of endpoints those of its tunnels.
func (p *Plan) Served(endpoints map[types.NamespacedName]Endpoints) map[string][]*api.Resource {
	out := make(map[string][]*api.Resource)
	for _, view := range p.Views() {
		resources := slices.Clone(p.Resources(view))
		for _, tunnel := range p.Tunnels(view) {
			if resource := endpoints[tunnel].Resource; resource != nil {
				resources = append(resources, resource)
			}
		}
		out[view.String()] = resources
	}
	return out
}

// Services are those whose Pods the tunnels in force take, and what must be known of the Pods.
// Those of a drained cluster are among them, so that it can be put back at once.
func (p *Plan) Services() map[pods.ServiceKey]Need {
	needs := make(map[pods.ServiceKey]Need, len(p.users))
	for key := range p.users {
		needs[key] = Need{}
	}
	for _, key := range p.labeled {
		needs[key] = Need{Labels: true}
	}
	return needs
}

// Labeled are the Services of which the labels of the Pods must be known, in no order. The slice is not to be changed.
func (p *Plan) Labeled() []pods.ServiceKey { return p.labeled }

// Users are the tunnels whose Endpoints may change when the Pods of the Service do, sorted.
func (p *Plan) Users(service pods.ServiceKey) []types.NamespacedName { return p.users[service] }

// Uses are the Pods that a tunnel in force takes, in the order of its spec.services. Those of a service that is of weight 0, drained, or
// of a cluster of which nothing is known yet are not among them. It is the same slice for the same tunnel (SameTunnel), and not to be changed.
func (p *Plan) Uses(tunnel types.NamespacedName) []pods.Use {
	plan := p.tunnels[tunnel]
	if plan == nil || plan.refused {
		return nil
	}
	return plan.uses
}

// usesOf are the entries that take Pods.
func usesOf(entries []entry) []pods.Use {
	uses := make([]pods.Use, 0, len(entries))
	for i := range entries {
		if entry := &entries[i]; !entry.pending && !entry.drained && entry.weight > 0 {
			uses = append(uses, pods.Use{Service: entry.key, Selector: entry.selector})
		}
	}
	return uses
}

// tunnelPlan is what one Tunnel became.
type tunnelPlan struct {
	tunnel *v1alpha1.Tunnel
	// refused is true where the tunnel as a whole is not in force: a route to it answers 500.
	refused  bool
	problems []api.Problem
	// cluster is the Envoy Cluster, nil where refused; secrets are what it needs.
	cluster *api.Resource
	secrets []*api.Resource
	// entries and addresses are what its endpoints are made of.
	entries   []entry
	addresses []addressEntry
	uses      []pods.Use
	owners    []api.Owner
	// read is what this was made from.
	read reads
}

// gatewayPlan is what one view of a Gateway became.
type gatewayPlan struct {
	// resources are the listeners, routes and secrets of the Gateway and the clusters and secrets of its tunnels, sorted by
	// type and name, each once. ClusterLoadAssignments are not among them.
	resources []*api.Resource
	// tunnels are those whose clusters are among the resources, sorted.
	tunnels  []types.NamespacedName
	problems []api.Problem
	// attached is the number of routes of each listener that is in force, by its name.
	attached map[string]int
	// inputs is what the plan was made from, its routes aside; routeInputs is what they were, the plans of tunnels aside.
	inputs, routeInputs []any
	// named are the tunnels that the routes name, whether they are there or not.
	named map[types.NamespacedName]struct{}
}

// AttachedRoutes is how many HTTPRoutes each listener of a Gateway that is in
// force has, by the listener's name; nil for a Gateway that is not served.
func (p *Plan) AttachedRoutes(gateway types.NamespacedName) map[string]int {
	if plan := p.gateways[gateway]; plan != nil {
		return plan.attached
	}
	return nil
}

// SameTunnel is true where a tunnel is the same in another plan, which may be
// nil: with the same Pods it has the same Endpoints.
func (p *Plan) SameTunnel(tunnel types.NamespacedName, other *Plan) bool {
	return other != nil && p.tunnels[tunnel] != nil && p.tunnels[tunnel] == other.tunnels[tunnel]
}
