package translator

import (
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// metadataNamespace is where podway's own metadata is, in Clusters and endpoints.
const metadataNamespace = "podway"

var (
	clusterType  = typeURL(&clusterv3.Cluster{})
	endpointType = typeURL(&endpointv3.ClusterLoadAssignment{})
	secretType   = typeURL(&tlsv3.Secret{})
)

func typeURL(message proto.Message) string {
	return "type.googleapis.com/" + string(message.ProtoReflect().Descriptor().FullName())
}

// TunnelResource is the name of a tunnel's Cluster and ClusterLoadAssignment.
func TunnelResource(tunnel types.NamespacedName) string { return "tunnel/" + tunnel.String() }

// keep returns the old resource where it equals the new one, so that what did
// not change stays the same pointer, or a copy of it where one of its sources did. old may be nil.
func keep(old, made *api.Resource) *api.Resource {
	switch {
	case old == nil || !old.Equal(made):
		return made
	case slices.EqualFunc(old.Sources, made.Sources, sameSource):
		return old
	}
	copied := *old
	copied.Sources = made.Sources
	return &copied
}

func sameSource(a, b api.Source) bool {
	return a.Part == b.Part && a.Says == b.Says && (a.Form == b.Form || equality.Semantic.DeepEqual(a.Form, b.Form))
}

// validateProto says what in a message, but not in the messages packed into
// it, Envoy would refuse by the rules that its protos carry.
func validateProto(message proto.Message) error {
	if checked, ok := message.(interface{ ValidateAll() error }); ok {
		return checked.ValidateAll()
	}
	return nil
}

// pack puts a message into an Any, the same bytes each time.
func pack(message proto.Message) *anypb.Any {
	packed := &anypb.Any{}
	if err := anypb.MarshalFrom(packed, message, proto.MarshalOptions{Deterministic: true}); err != nil {
		// Only a string that is not UTF-8 can get here, and validateProto of the outer message does not look into an Any.
		return nil
	}
	return packed
}

// ads is where Envoy finds what a resource names: the stream that it came by.
func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// metadata is podway's own, of strings; pairs are keys and values.
func metadata(pairs ...string) *corev3.Metadata {
	fields := make(map[string]*structpb.Value, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i]] = structpb.NewStringValue(pairs[i+1])
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{metadataNamespace: {Fields: fields}}}
}

// duration reads a duration; what is absent or cannot be read is the fallback.
func duration(value *gatewayv1.Duration, fallback gatewayv1.Duration) time.Duration {
	for _, candidate := range []*gatewayv1.Duration{value, &fallback} {
		if candidate != nil {
			if parsed, err := time.ParseDuration(string(*candidate)); err == nil && parsed >= 0 {
				return parsed
			}
		}
	}
	return 0
}

// above is a duration that must be more than 0, as Envoy asks of some.
func above(value *gatewayv1.Duration, fallback gatewayv1.Duration) *durationpb.Duration {
	parsed := duration(value, fallback)
	if parsed <= 0 {
		parsed = duration(nil, fallback)
	}
	return durationpb.New(parsed)
}

// orDefault reads an optional number.
func orDefault[T any](value *T, fallback T) T {
	if value == nil {
		return fallback
	}
	return *value
}
