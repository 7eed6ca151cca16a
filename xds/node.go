package xds

import (
	"strings"
	"unicode"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

// maxMetadataBytes is how large a node's metadata may be to be remembered, for tools that look for it.
const maxMetadataBytes = 8 << 10

// describeNode is what is remembered of an Envoy's node. Envoy lists all its extensions in it, tens of kilobytes that nobody asks for.
func describeNode(node *corev3.Node) *corev3.Node {
	described := &corev3.Node{
		Id: node.GetId(), Cluster: node.GetCluster(), Locality: node.GetLocality(), UserAgentName: node.GetUserAgentName(),
		UserAgentVersionType: node.GetUserAgentVersionType(),
	}
	if build := node.GetUserAgentBuildVersion(); build != nil {
		described.UserAgentVersionType = &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{Version: build.GetVersion()}}
	}
	if proto.Size(node.GetMetadata()) <= maxMetadataBytes {
		described.Metadata = node.GetMetadata()
	}
	described = proto.CloneOf(described)
	// Fields that this podway does not know are of any size.
	for _, of := range []proto.Message{described.Locality, described.GetUserAgentBuildVersion().GetVersion()} {
		if m := of.ProtoReflect(); m.IsValid() {
			m.SetUnknown(nil)
		}
	}
	return described
}

// checkNode refuses a first request that does not say who is asking, or says it in a way that no log and no terminal should be given.
func (l Limits) checkNode(node *corev3.Node) *denial {
	if node.GetId() == "" {
		return deny(reasonBadNode, codes.InvalidArgument, "the first request on a stream must hold a node with an id; "+
			"its cluster says which Gateway it belongs to, as NAMESPACE/NAME")
	}
	if node.GetCluster() == "" {
		return deny(reasonBadNode, codes.InvalidArgument, "node.cluster is empty; set it to the Gateway that the client belongs to, as NAMESPACE/NAME")
	}
	if _, isMinority := api.MajorityOf(node.GetCluster()); isMinority {
		return deny(reasonBadNode, codes.InvalidArgument, "node.cluster is %q; set it to the Gateway that the client belongs to, as NAMESPACE/NAME",
			short(node.GetCluster()))
	}
	for _, of := range []struct{ field, text string }{
		{"id", node.GetId()},
		{"cluster", node.GetCluster()},
		{"user_agent_name", node.GetUserAgentName()},
		{"user_agent_version", node.GetUserAgentVersion()},
		{"locality.region", node.GetLocality().GetRegion()},
		{"locality.zone", node.GetLocality().GetZone()},
		{"locality.sub_zone", node.GetLocality().GetSubZone()},
	} {
		switch {
		case len(of.text) > l.MaxNameBytes:
			return deny(reasonBadNode, codes.InvalidArgument, "node.%s has %d bytes; at most %d are allowed", of.field, len(of.text), l.MaxNameBytes)
		case strings.ContainsFunc(of.text, unicode.IsControl):
			return deny(reasonBadNode, codes.InvalidArgument, "node.%s holds a control character", of.field)
		}
	}
	return nil
}
