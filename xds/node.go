package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
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
	return proto.CloneOf(described)
}
