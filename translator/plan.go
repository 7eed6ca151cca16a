package translator

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// Plan is what a configuration became: immutable, and the memory that makes
// the next translation incremental.
type Plan struct {
	cfg      *snapshot.Config
	tunnels  map[types.NamespacedName]*tunnelPlan
	gateways map[types.NamespacedName]*gatewayPlan
	users    map[pods.ServiceKey][]types.NamespacedName
	problems []api.Problem
}

// Need says what a plan must know of a Service's Pods.
type Need struct {
	// Labels is true where a tunnel selects Pods by their labels.
	Labels bool
}

// Endpoints is a tunnel's ClusterLoadAssignment, and what is wrong with its Pods.
type Endpoints struct {
	Resource *api.Resource
	Problems []api.Problem
}

// input is what all parts of one translation read.
type input struct {
	cfg     *snapshot.Config
	grants  *grants
	tunnels map[types.NamespacedName]*tunnelPlan
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
}

// gatewayPlan is what one Gateway became.
type gatewayPlan struct {
	// resources are the listeners, routes and secrets of the Gateway and the clusters and secrets of its tunnels, sorted by
	// type and name, each once. ClusterLoadAssignments are not among them.
	resources []*api.Resource
	// tunnels are those whose clusters are among the resources, sorted.
	tunnels  []types.NamespacedName
	problems []api.Problem
}
