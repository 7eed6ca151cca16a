package xds

import (
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

const (
	secretType   = resource.SecretType
	clusterType  = resource.ClusterType
	endpointType = resource.EndpointType
	listenerType = resource.ListenerType
	routeType    = resource.RouteType
)

// order is how a change reaches a stream; removals go the other way round.
// Types that are not here come after them.
var order = []string{secretType, clusterType, endpointType, listenerType, routeType}

func rank(typeURL string) int {
	for i, t := range order {
		if t == typeURL {
			return i
		}
	}
	return len(order)
}

// isServed is true for the types that podway serves. Others are unknown.
func isServed(typeURL string) bool { return rank(typeURL) < len(order) }

// hasLegacyWildcard is true for the types of which a first subscription
// without names means all. For others it means none.
func hasLegacyWildcard(typeURL string) bool {
	return typeURL == clusterType || typeURL == listenerType
}

// isComplete is true for the types whose SotW answers must hold everything: what is left out is deleted by the client.
func isComplete(typeURL string) bool { return hasLegacyWildcard(typeURL) }

// users are the types whose resources can need one of the given type.
func users(typeURL string) []string {
	switch typeURL {
	case secretType:
		return []string{clusterType, listenerType}
	case clusterType:
		return []string{listenerType, routeType}
	case routeType:
		return []string{listenerType}
	}
	return nil
}

// shortType is the label of metrics and logs: bounded, whatever a client asks for.
func shortType(typeURL string) string {
	switch typeURL {
	case secretType:
		return "sds"
	case clusterType:
		return "cds"
	case endpointType:
		return "eds"
	case listenerType:
		return "lds"
	case routeType:
		return "rds"
	}
	return "other"
}

// messageName cuts what is common to all type URLs.
func messageName(typeURL string) string { return strings.TrimPrefix(typeURL, resource.APITypePrefix) }
