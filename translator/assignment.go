package translator

import (
	"net/netip"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// A ClusterLoadAssignment is encoded right away: there are as many endpoints as Pods, each change of one makes those of its tunnel again, and as
// messages they would cost ten times the time and memory. The numbers are those of the fields in Envoy's protos, in whose order they are
// written, map keys sorted. All are below 16, so that a tag has one byte.
const (
	assignmentName      = 1 // envoy.config.endpoint.v3.ClusterLoadAssignment
	assignmentEndpoints = 2
	localityEndpoints   = 2 // envoy.config.endpoint.v3.LocalityLbEndpoints
	lbEndpoint          = 1 // envoy.config.endpoint.v3.LbEndpoint
	lbMetadata          = 3
	lbWeight            = 4
	endpointAddress     = 1 // envoy.config.endpoint.v3.Endpoint
	endpointHostname    = 3
	addressSocket       = 1 // envoy.config.core.v3.Address
	socketAddress       = 2 // envoy.config.core.v3.SocketAddress
	socketPort          = 3
	metadataFilter      = 1 // envoy.config.core.v3.Metadata
	structFields        = 1 // google.protobuf.Struct
	valueString         = 3 // google.protobuf.Value
	wrapped             = 1 // google.protobuf.UInt32Value
	mapKey, mapValue    = 1, 2
)

// encodeAssignment encodes a ClusterLoadAssignment with all backends in one locality; with none it has no locality. hostname is the Host that
// they receive where a route rewrites it to the endpoint's; "" leaves the client's.
func encodeAssignment(name string, backends []backend, hostname string) []byte {
	name, hostname = valid(name), valid(hostname)
	sizes := make([]endpointSize, len(backends))
	locality := 0
	for i := range backends {
		sizes[i] = sizeOf(&backends[i], hostname)
		locality += sizeField(sizes[i].all)
	}
	size := sizeField(len(name))
	if len(backends) > 0 {
		size += sizeField(locality)
	}
	b := make([]byte, 0, size)
	b = appendString(b, assignmentName, name)
	if len(backends) > 0 {
		b = appendMessage(b, assignmentEndpoints, locality)
	}
	for i := range backends {
		b = appendEndpoint(b, &backends[i], hostname, &sizes[i])
	}
	return b
}

// endpointSize is the size of an LbEndpoint, and of the messages in it.
type endpointSize struct {
	all, endpoint, address, socket, metadata, filter, fields, weight int
}

func sizeOf(of *backend, hostname string) (s endpointSize) {
	var text [64]byte
	s.socket = sizeField(len(addressText(of.address, text[:0]))) + sizeNumber(of.address.Port())
	s.address = sizeField(s.socket)
	s.endpoint = sizeField(s.address)
	if hostname != "" {
		s.endpoint += sizeField(len(hostname))
	}
	s.weight = sizeNumber(of.weight)
	s.all = sizeField(s.endpoint) + sizeField(s.weight)
	if of.pod != nil {
		s.fields = sizeEntry("cluster", of.cluster) + sizeEntry("namespace", of.pod.Namespace) + sizeEntry("pod", of.pod.Name)
		s.filter = sizeField(len(metadataNamespace)) + sizeField(s.fields)
		s.metadata = sizeField(s.filter)
		s.all += sizeField(s.metadata)
	}
	return s
}

func appendEndpoint(b []byte, of *backend, hostname string, s *endpointSize) []byte {
	var text [64]byte
	b = appendMessage(b, localityEndpoints, s.all)
	b = appendMessage(b, lbEndpoint, s.endpoint)
	b = appendMessage(b, endpointAddress, s.address)
	b = appendMessage(b, addressSocket, s.socket)
	address := addressText(of.address, text[:0])
	b = append(appendMessage(b, socketAddress, len(address)), address...)
	b = appendNumber(b, socketPort, of.address.Port())
	if hostname != "" {
		b = appendString(b, endpointHostname, hostname)
	}
	if of.pod != nil {
		b = appendMessage(b, lbMetadata, s.metadata)
		b = appendMessage(b, metadataFilter, s.filter)
		b = appendString(b, mapKey, metadataNamespace)
		b = appendMessage(b, mapValue, s.fields)
		b = appendEntry(b, "cluster", of.cluster)
		b = appendEntry(b, "namespace", of.pod.Namespace)
		b = appendEntry(b, "pod", of.pod.Name)
	}
	b = appendMessage(b, lbWeight, s.weight)
	return appendNumber(b, wrapped, of.weight)
}

func addressText(address netip.AddrPort, to []byte) []byte { return address.Addr().AppendTo(to) }

// valid is a string as protobuf allows it: what an API server sends may be none.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func sizeField(size int) int { return 1 + protowire.SizeBytes(size) }

func sizeNumber[T uint16 | uint32](n T) int { return 1 + protowire.SizeVarint(uint64(n)) }

// sizeEntry is the size of an entry of a Struct.
func sizeEntry(key, value string) int {
	return sizeField(sizeField(len(key)) + sizeField(sizeField(len(valid(value)))))
}

func appendEntry(b []byte, key, value string) []byte {
	value = valid(value)
	b = appendMessage(b, structFields, sizeField(len(key))+sizeField(sizeField(len(value))))
	b = appendString(b, mapKey, key)
	b = appendMessage(b, mapValue, sizeField(len(value)))
	return appendString(b, valueString, value)
}

// appendMessage begins a message of that size.
func appendMessage(b []byte, number protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(size))
}

func appendString(b []byte, number protowire.Number, s string) []byte {
	return append(appendMessage(b, number, len(s)), s...)
}

func appendNumber[T uint16 | uint32](b []byte, number protowire.Number, n T) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(n))
}
