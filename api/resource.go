package api

import "google.golang.org/protobuf/proto"

// ResourceKey names an Envoy resource: its type URL and its name.
type ResourceKey struct {
	Type string
	Name string
}

// Resource is one Envoy resource, as the translator made it. It is immutable:
// nobody changes a Resource or its Message once it has been returned, and an
// unchanged resource is the same pointer from one plan to the next.
type Resource struct {
	ResourceKey
	Message proto.Message
	// Needs are the resources that an Envoy must have before this one is of
	// use: the clusters of a RouteConfiguration, the secrets of a Cluster or
	// Listener, the RouteConfigurations of a Listener. A Cluster does not name
	// its ClusterLoadAssignment, which has the same name.
	Needs []ResourceKey
	// Partial is true for a ClusterLoadAssignment that lacks the Pods of a cluster of which nothing is known yet. An Envoy
	// that already has endpoints of that name keeps them; one that has none gets this.
	Partial bool
	// Owners are the objects that this was made from, the main one first.
	Owners []Owner
	// Sources are the parts of the configuration that decide what is in this, in the forms that they had, to find out which of
	// them an Envoy rejects. Two resources that differ in nothing else are the same. Endpoints have none.
	Sources []Source
}

// Owner is an object at a generation.
type Owner struct {
	ObjectRef
	Generation int64
}
