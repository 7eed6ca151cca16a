package envoy

import (
	"cmp"
	"fmt"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/podway/podway/api"
)

// Static returns a configuration with which an Envoy serves these resources
// without a control plane: endpoints stand in their clusters, routes in their
// listeners, and secrets are static. XDSAddress of the configuration is not used. The resources are not changed.
//
// A cluster without a ClusterLoadAssignment among the resources has no
// endpoints. A listener whose RouteConfiguration is missing, and a secret that is named and missing, are errors.
func Static(cfg BootstrapConfig, resources []*api.Resource) (*bootstrapv3.Bootstrap, error) {
	b, err := base(cfg)
	if err != nil {
		return nil, err
	}
	in, err := newInliner(resources)
	if err != nil {
		return nil, err
	}
	b.StaticResources = &bootstrapv3.Bootstrap_StaticResources{}
	for _, resource := range sorted(resources) {
		switch message := resource.Message.(type) {
		case *clusterv3.Cluster:
			cluster := proto.CloneOf(message)
			in.endpointsInto(cluster)
			err = in.walk(cluster.ProtoReflect())
			b.StaticResources.Clusters = append(b.StaticResources.Clusters, cluster)
		case *listenerv3.Listener:
			listener := proto.CloneOf(message)
			err = in.walk(listener.ProtoReflect())
			b.StaticResources.Listeners = append(b.StaticResources.Listeners, listener)
		case *tlsv3.Secret:
			b.StaticResources.Secrets = append(b.StaticResources.Secrets, proto.CloneOf(message))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resource.Name, err)
		}
	}
	return b, nil
}

func sorted(resources []*api.Resource) []*api.Resource {
	return slices.SortedFunc(slices.Values(resources), func(a, b *api.Resource) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
}

// inliner puts resources where others only name them.
type inliner struct {
	endpoints map[string]*endpointv3.ClusterLoadAssignment
	routes    map[string]*routev3.RouteConfiguration
	secrets   map[string]bool
}

func newInliner(resources []*api.Resource) (*inliner, error) {
	in := &inliner{
		endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
		routes:    map[string]*routev3.RouteConfiguration{},
		secrets:   map[string]bool{},
	}
	for _, resource := range resources {
		switch message := resource.Message.(type) {
		case *endpointv3.ClusterLoadAssignment:
			in.endpoints[message.ClusterName] = message
		case *routev3.RouteConfiguration:
			in.routes[message.Name] = message
		case *tlsv3.Secret:
			in.secrets[message.Name] = true
		case *clusterv3.Cluster, *listenerv3.Listener:
		default:
			return nil, fmt.Errorf("%s: a resource of type %s has no place in a static configuration", resource.Name, resource.Type)
		}
	}
	return in, nil
}

// endpointsInto makes an EDS cluster a static one.
func (in *inliner) endpointsInto(cluster *clusterv3.Cluster) {
	if cluster.GetType() != clusterv3.Cluster_EDS {
		return
	}
	assignment := in.endpoints[cmp.Or(cluster.GetEdsClusterConfig().GetServiceName(), cluster.Name)]
	if assignment == nil {
		assignment = &endpointv3.ClusterLoadAssignment{ClusterName: cluster.Name}
	}
	cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	cluster.EdsClusterConfig = nil
	cluster.LoadAssignment = proto.CloneOf(assignment)
}

// walk inlines into a message and all that it holds.
func (in *inliner) walk(m protoreflect.Message) error {
	switch message := m.Interface().(type) {
	case *hcmv3.HttpConnectionManager:
		if err := in.routesInto(message); err != nil {
			return err
		}
	case *tlsv3.SdsSecretConfig:
		if !in.secrets[message.Name] {
			return fmt.Errorf("the secret %s is not among the resources", message.Name)
		}
		message.SdsConfig = nil // a name alone means a static secret
	}
	return eachMessage(m, in.walk)
}

func (in *inliner) routesInto(manager *hcmv3.HttpConnectionManager) error {
	rds := manager.GetRds()
	if rds == nil {
		return nil
	}
	routes := in.routes[rds.RouteConfigName]
	if routes == nil {
		return fmt.Errorf("the RouteConfiguration %s is not among the resources", rds.RouteConfigName)
	}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: proto.CloneOf(routes)}
	return nil
}
