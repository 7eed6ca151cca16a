package translator

import (
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/v1alpha1"
)

// entry is a service of a tunnel, ready to find its Pods.
type entry struct {
	key pods.ServiceKey
	// portName is what the slices call the port. It is not known while the service is pending.
	portName string
	// pending is true while nothing is known of the service, because the cluster has not synced; remembered, where what is known is of before a restart.
	pending, remembered bool
	// drained is true where the cluster takes no traffic.
	drained bool
	// weight of each Pod, 0 to 100.
	weight uint32
	// selector of Pods; nil for all.
	selector labels.Selector
}

// addressEntry is a plain address of a tunnel with a weight of 1 to 100.
type addressEntry struct {
	address netip.AddrPort
	weight  uint32
}

// tunnelPlanner makes the plan of one tunnel.
type tunnelPlanner struct {
	reader
	name   types.NamespacedName
	tunnel *v1alpha1.Tunnel
	plan   *tunnelPlan
	// old is the plan before, or nil.
	old *tunnelPlan
	// protocol toward the Pods, once the services have been read; protocolOf is the first field that said so.
	protocol   v1alpha1.Protocol
	protocolOf string
}

// planTunnel makes a tunnel's Cluster and what its endpoints will be made of.
func (in *input) planTunnel(tunnel *v1alpha1.Tunnel, old *tunnelPlan) *tunnelPlan {
	p := &tunnelPlanner{
		reader: reader{in: in}, name: types.NamespacedName{Namespace: tunnel.Namespace, Name: tunnel.Name},
		tunnel: tunnel, plan: &tunnelPlan{tunnel: tunnel}, old: old, protocol: tunnel.Spec.Protocol,
	}
	p.plan.owners = []api.Owner{{ObjectRef: p.ref(), Generation: tunnel.Generation}}
	p.readServices()
	p.readAddresses()
	p.makeCluster()
	if p.plan.refused {
		p.plan.cluster, p.plan.secrets, p.plan.entries, p.plan.addresses = nil, nil, nil, nil
	}
	p.plan.uses, p.plan.read = usesOf(p.plan.entries), p.read
	return p.plan
}

func (p *tunnelPlanner) ref() api.ObjectRef {
	return tunnelPart(p.tunnel).ObjectRef
}

func (p *tunnelPlanner) sources() []api.Source {
	return []api.Source{{Part: tunnelPart(p.tunnel), Form: p.tunnel}}
}

func (p *tunnelPlanner) report(problem api.Problem) {
	problem.Object, problem.Generation = p.ref(), p.tunnel.Generation
	p.plan.problems = append(p.plan.problems, problem)
}

// refuse reports a Problem that costs the whole tunnel.
func (p *tunnelPlanner) refuse(problem api.Problem) {
	problem.Severity = api.Error
	p.plan.refused = true
	p.report(problem)
}

// readsOfService is how much is looked up for one of a tunnel's services: its cluster, and itself.
const readsOfService = 2

func (p *tunnelPlanner) readServices() {
	services := len(p.tunnel.Spec.Services)
	p.plan.entries = slices.Grow(p.plan.entries, services)
	p.read.values = slices.Grow(p.read.values, services*readsOfService)
	for i := range p.tunnel.Spec.Services {
		made, problem := p.readService(i)
		if problem != nil {
			p.report(*problem)
		}
		if made != nil {
			p.plan.entries = append(p.plan.entries, *made)
		}
	}
	if p.protocol == "" {
		p.protocol = v1alpha1.ProtocolHTTP
	}
}

// readAddresses takes over addresses. A weight of 0 is one that is not there: Envoy refuses it.
func (p *tunnelPlanner) readAddresses() {
	for i, address := range p.tunnel.Spec.Addresses {
		ip, err := netip.ParseAddr(address.Address)
		if err != nil || ip.Zone() != "" || address.Port < 1 || address.Port > 65535 {
			p.report(api.Problem{
				Code: api.CodeInvalidValue, Severity: api.Error, Field: fmt.Sprintf("spec.addresses[%d]", i),
				Message: fmt.Sprintf("%q with port %d is not an IP address and a port", address.Address, address.Port),
				Remedy:  "give an IPv4 or IPv6 address and a port from 1 to 65535",
			})
			continue
		}
		if weight := clampWeight(address.Weight); weight > 0 {
			p.plan.addresses = append(p.plan.addresses, addressEntry{netip.AddrPortFrom(ip.Unmap(), uint16(address.Port)), weight})
		}
	}
}

// clampWeight holds a weight to 0 to 100, whoever made the object, so that no
// sum over the Pods of a tunnel overflows 32 bits: that takes 42 million of them.
func clampWeight(weight *int32) uint32 {
	return uint32(min(max(orDefault(weight, v1alpha1.DefaultWeight), 0), 100))
}
