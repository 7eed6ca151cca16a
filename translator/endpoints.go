package translator

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
)

// Endpoints makes a tunnel's ClusterLoadAssignment from the Pods that there
// are now. The work is in proportion to the tunnel's own Pods. For a tunnel
// that is not in force, the Resource is nil.
//
// Every Pod is in ONE locality of one priority: between localities, Envoy would
// weigh the localities and not the Pods. A service's ready Pods are taken; where
// it has none, those that are terminating but still serve; else none. A Pod reached
// through several entries has the sum of their weights. Without any Pod the
// ClusterLoadAssignment is there and empty, so that Envoy does not keep what it had.
func (p *Plan) Endpoints(tunnel types.NamespacedName, live pods.Live) Endpoints {
	plan := p.tunnels[tunnel]
	if plan == nil || plan.refused {
		return Endpoints{}
	}
	sets, partial := plan.sets(live)
	sorter := newSorter()
	defer sorters.Put(sorter)
	for i, set := range sets {
		sorter.backends = plan.entries[i].collect(sorter.backends, set)
	}
	for _, address := range plan.addresses {
		sorter.backends = append(sorter.backends, backend{address: address.address, weight: address.weight})
	}
	sorter.sort()
	clash := sorter.merge()
	name := TunnelResource(tunnel)
	result := Endpoints{Count: len(sorter.order), Resource: &api.Resource{
		ResourceKey: api.ResourceKey{Type: endpointType, Name: name},
		Wire:        encodeAssignment(name, sorter, plan.tunnel.Spec.HostHeader), Partial: partial, Owners: plan.owners,
	}}
	if clash != "" {
		result.Problems = append(result.Problems, ambiguous(clash))
	}
	if len(sorter.order) == 0 && !partial {
		result.Problems = append(result.Problems, plan.empty())
	}
	for i := range result.Problems {
		result.Problems[i].Object, result.Problems[i].Generation = plan.owners[0].ObjectRef, plan.tunnel.Generation
		result.Problems[i] = p.cfg.Locate(result.Problems[i])
	}
	return result
}

// noPods is the set of a service whose Pods take no traffic.
var noPods = &pods.Set{}

// sets are the Pods of each entry, and whether any are missing of which nothing is known, or more may be known by Envoys.
func (t *tunnelPlan) sets(live pods.Live) (sets []*pods.Set, partial bool) {
	sets = make([]*pods.Set, len(t.entries))
	for i := range t.entries {
		entry := &t.entries[i]
		sets[i] = noPods
		if entry.drained || entry.weight == 0 {
			continue
		}
		set := live(entry.key)
		if set == nil || entry.pending || entry.selector != nil && set.Unlabeled {
			partial = true
			continue
		}
		partial = partial || entry.remembered
		sets[i] = set
	}
	return sets, partial
}

// backend is one Pod or address on its way into a ClusterLoadAssignment.
type backend struct {
	address netip.AddrPort
	weight  uint32
	// entry, cluster and pod are empty for a plain address.
	entry   *entry
	cluster string
	pod     *pods.Pod
}

// collect adds a service's Pods that take traffic.
func (e *entry) collect(found []backend, set *pods.Set) []backend {
	before := len(found)
	found = e.collectWhere(found, set, func(pod *pods.Pod) bool { return pod.Ready })
	if len(found) == before {
		found = e.collectWhere(found, set, func(pod *pods.Pod) bool { return pod.Serving && pod.Terminating })
	}
	return found
}

func (e *entry) collectWhere(found []backend, set *pods.Set, takes func(*pods.Pod) bool) []backend {
	for i := range set.Pods {
		pod := &set.Pods[i]
		if !takes(pod) || !pod.Address.IsValid() || (e.selector != nil && (pod.Labels == nil || !e.selector.Matches(labels.Set(pod.Labels)))) {
			continue
		}
		number, ok := pod.Port(e.portName)
		if !ok || number < 1 || number > 65535 {
			continue
		}
		address := netip.AddrPortFrom(pod.Address.Addr(), uint16(number))
		found = append(found, backend{address: address, weight: e.weight, entry: e, cluster: e.key.Cluster, pod: pod})
	}
	return found
}

func ambiguous(clash string) api.Problem {
	return api.Problem{
		Code: codeAmbiguousAddress, Severity: api.Warning, Field: "spec.services",
		Message: clash + ": its requests reach whichever of the two the Envoys' network leads to",
		Remedy: "give the clusters address ranges that do not overlap; where they are in networks apart, each with Gateways of its own, " +
			"say so in the network of MemberClusters and GatewayParameters, and use a tunnel for each",
	}
}

// empty says why a tunnel has no Pod, as far as its entries tell.
func (t *tunnelPlan) empty() api.Problem {
	problem := api.Problem{
		Code: codeEmptyTunnel, Severity: api.Warning, Field: "spec",
		Message: "no Pod can take a request: requests are answered 503",
		Remedy:  "look at the Pods of the tunnel's Services: are there any, are they ready, and does podSelector match their labels?",
	}
	switch {
	case len(t.tunnel.Spec.Services) == 0:
		problem.Remedy = "give an address a weight of more than 0"
	case len(t.entries) == 0:
		problem.Remedy = "correct the tunnel's services: none of them is in force"
	case !slices.ContainsFunc(t.entries, func(e entry) bool { return !e.drained }):
		problem.Remedy = "set trafficPolicy of a MemberCluster to Active, or add a service of another cluster"
	case !slices.ContainsFunc(t.entries, func(e entry) bool { return !e.drained && e.weight > 0 }):
		problem.Remedy = "give a service a podWeight of more than 0"
	}
	return problem
}
