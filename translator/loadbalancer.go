package translator

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// balance chooses how Envoy picks a Pod. It reads the spec alone: Pods that
// come and go must not change the Cluster.
//
// Round robin with unequal weights starts its schedule anew at every change of
// the endpoints, and Pods of little weight starve. Maglev without anything to hash
// is a random choice by weight that remembers nothing, so there is nothing to start anew.
func (p *tunnelPlanner) balance(cluster *clusterv3.Cluster) {
	lb := orDefault(p.tunnel.Spec.LoadBalancer, v1alpha1.LoadBalancer{})
	kind := p.balancer()
	slowStart := p.slowStart(kind, lb.SlowStart)
	switch kind {
	case v1alpha1.WeightedRoundRobin:
		cluster.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
		if slowStart != nil {
			cluster.LbConfig = &clusterv3.Cluster_RoundRobinLbConfig_{RoundRobinLbConfig: &clusterv3.Cluster_RoundRobinLbConfig{SlowStartConfig: slowStart}}
		}
	case v1alpha1.LeastRequest:
		// active_request_bias stays at its default of 1. With 0, which keeps the shares, this would be round robin.
		cluster.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
		if slowStart != nil {
			cluster.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{SlowStartConfig: slowStart}}
		}
	default:
		size := p.tableSize()
		if kind == v1alpha1.ConsistentHashType {
			// The larger the table, the fewer requests move to another Pod when one comes or goes.
			size = maxTable
		}
		cluster.LbPolicy = clusterv3.Cluster_MAGLEV
		cluster.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(size)}}
	}
}

// balancer is the type that the spec names, or else the one that keeps the shares while Pods come and go.
func (p *tunnelPlanner) balancer() v1alpha1.LoadBalancerType {
	if lb := p.tunnel.Spec.LoadBalancer; lb != nil && lb.Type != "" {
		return lb.Type
	}
	if p.equalWeights() {
		return v1alpha1.WeightedRoundRobin
	}
	return v1alpha1.WeightedRandom
}

// slowStart is for round robin and least request; with another type, also one
// that follows from the weights, it is a Problem, and the tunnel works without.
func (p *tunnelPlanner) slowStart(kind v1alpha1.LoadBalancerType, asked *v1alpha1.SlowStart) *clusterv3.Cluster_SlowStartConfig {
	if asked == nil {
		return nil
	}
	if kind != v1alpha1.WeightedRoundRobin && kind != v1alpha1.LeastRequest {
		message := "slow start does not work with type " + string(kind)
		if p.tunnel.Spec.LoadBalancer.Type == "" {
			message += ", which is the default for weights that differ"
		}
		p.report(api.Problem{
			Code: api.CodeConflict, Severity: api.Error, Field: "spec.loadBalancer.slowStart",
			Message: message, Remedy: "set spec.loadBalancer.type to WeightedRoundRobin or LeastRequest, or remove slowStart",
		})
		return nil
	}
	window := duration(&asked.Window, "0s")
	if window <= 0 {
		return nil
	}
	return &clusterv3.Cluster_SlowStartConfig{SlowStartWindow: durationpb.New(window)}
}

// weights calls use with the weight of each service and address that takes traffic.
func (p *tunnelPlanner) weights(use func(weight uint64, service bool)) {
	for i := range p.tunnel.Spec.Services {
		if weight := clampWeight(p.tunnel.Spec.Services[i].PodWeight); weight > 0 {
			use(uint64(weight), true)
		}
	}
	for i := range p.tunnel.Spec.Addresses {
		if weight := clampWeight(p.tunnel.Spec.Addresses[i].Weight); weight > 0 {
			use(uint64(weight), false)
		}
	}
}

// equalWeights is true where whatever takes traffic has one weight.
func (p *tunnelPlanner) equalWeights() bool {
	lowest, highest := uint64(100), uint64(0)
	p.weights(func(weight uint64, _ bool) { lowest, highest = min(lowest, weight), max(highest, weight) })
	return lowest >= highest
}

const (
	// minTable costs no more than round robin.
	minTable = 1009
	// maxTable is Envoy's own default: 3.3 ms of CPU for each change of the endpoints, and 66 KiB in each Envoy.
	maxTable = 65537
	// slotsOfLightest is how many slots of the table the Pod of the least weight should have: a Pod's share is then right to 1 in 20.
	slotsOfLightest = 20
	// expectedPods is how many Pods a service is taken to have. It may have more: then shares are coarser, by that ratio.
	expectedPods = 100
)

// tableSizes are primes, as Maglev needs, each about twice the one before: a weight that
// changes a little does not change the table, and with it the Cluster.
var tableSizes = []uint64{minTable, 2039, 4093, 8191, 16381, 32749, maxTable}

// tableSize is that of Maglev's table: 20 times the sum of all Pods' weights
// over the least of them, with 100 Pods to a service.
func (p *tunnelPlanner) tableSize() uint64 {
	lowest, sum := uint64(100), uint64(0)
	p.weights(func(weight uint64, service bool) {
		lowest = min(lowest, weight)
		if service {
			weight *= expectedPods
		}
		sum += weight
	})
	for _, size := range tableSizes {
		if size*lowest >= slotsOfLightest*sum {
			return size
		}
	}
	return maxTable
}

// hashPolicy says what a consistent hash is of. It is the tunnel's own, and so
// does not touch other tunnels under the same route. Requests without what is hashed go to a random Pod.
func (p *tunnelPlanner) hashPolicy() []*routev3.RouteAction_HashPolicy {
	lb := p.tunnel.Spec.LoadBalancer
	if lb == nil || lb.Type != v1alpha1.ConsistentHashType || lb.ConsistentHash == nil {
		return nil
	}
	policy := &routev3.RouteAction_HashPolicy{}
	switch hash := lb.ConsistentHash; {
	case hash.Header != "":
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_Header_{Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: hash.Header}}
	case hash.Cookie != nil:
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_Cookie_{Cookie: hashCookie(hash.Cookie)}
	case hash.QueryParameter != "":
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_QueryParameter_{
			QueryParameter: &routev3.RouteAction_HashPolicy_QueryParameter{Name: hash.QueryParameter},
		}
	case hash.SourceIP:
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_ConnectionProperties_{
			ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
		}
	default:
		return nil
	}
	return []*routev3.RouteAction_HashPolicy{policy}
}

func hashCookie(cookie *v1alpha1.HashCookie) *routev3.RouteAction_HashPolicy_Cookie {
	made := &routev3.RouteAction_HashPolicy_Cookie{Name: cookie.Name}
	if cookie.TTL == nil {
		return made
	}
	made.Ttl = durationpb.New(duration(cookie.TTL, "0s"))
	if made.Path = cookie.Path; made.Path == "" {
		made.Path = v1alpha1.DefaultCookiePath
	}
	return made
}
