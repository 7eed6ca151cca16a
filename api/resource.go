package api

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// ResourceKey names an Envoy resource: its type URL and its name.
type ResourceKey struct {
	Type string
	Name string
}

// Compare orders keys by type, and then by name.
func (k ResourceKey) Compare(other ResourceKey) int {
	return cmp.Or(strings.Compare(k.Type, other.Type), strings.Compare(k.Name, other.Name))
}

// Resource is one Envoy resource, as the translator made it. It is immutable:
// nobody changes a Resource, its Message or its Wire once it has been returned, and an
// unchanged resource is the same pointer from one plan to the next.
type Resource struct {
	ResourceKey
	// Message is nil where there is Wire.
	Message proto.Message
	// Wire is the message in protobuf's wire format, nil where there is a Message. ClusterLoadAssignments have it: they are the
	// bulk of all that is served, and as messages they would take ten times the memory.
	Wire []byte
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
	// them an Envoy rejects. Two resources that differ in nothing else are Equal, and share their Message. Endpoints have none.
	Sources []Source
}

// Shares says whether two resources are the same but for their Sources, as those are that an object left as they were when it changed.
// Either may be nil.
func (r *Resource) Shares(other *Resource) bool {
	return r == other || r != nil && other != nil && r.Message != nil && r.Message == other.Message
}

// Decoded is the resource with a Message instead of Wire. It fails for a Type that is not linked in, and for bytes that are none of it.
func (r *Resource) Decoded() (*Resource, error) {
	if r == nil || r.Wire == nil {
		return r, nil
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByURL(r.Type)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", r.Name, err)
	}
	out := *r
	out.Message, out.Wire = kind.New().Interface(), nil
	if err := proto.Unmarshal(r.Wire, out.Message); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", r.Name, err)
	}
	return &out, nil
}

// Equal says whether two resources have the same content. Either may be nil.
func (r *Resource) Equal(other *Resource) bool {
	if r == nil || other == nil || r == other {
		return r == other
	}
	return r.ResourceKey == other.ResourceKey && r.Partial == other.Partial && slices.Equal(r.Needs, other.Needs) &&
		slices.Equal(r.Owners, other.Owners) && bytes.Equal(r.Wire, other.Wire) && proto.Equal(r.Message, other.Message)
}

// Owner is an object at a generation.
type Owner struct {
	ObjectRef
	Generation int64
}
