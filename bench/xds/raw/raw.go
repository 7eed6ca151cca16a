// Package raw handles messages of discovery as bytes, so that what surrounds the server that is measured costs little.
package raw

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// The methods of delta and of the state of the world.
const (
	DeltaMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	WorldMethod = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
)

// Fields of a DeltaDiscoveryResponse and, of a DeltaDiscoveryRequest, InitialVersions. A DiscoveryResponse has the first three too.
const (
	version         = 1
	resources       = 2
	nonce           = 5
	removed         = 6
	InitialVersions = 5
)

// Codec hands bytes through: messages are []byte when sent and *[]byte when received.
type Codec struct{}

// Name is that of the codec it stands in for.
func (Codec) Name() string { return "proto" }

// Marshal takes a []byte.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal fills a *[]byte.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// Response is what clients look at in a response.
type Response struct {
	Version, Nonce string
	Resources      int
	// Removed is for delta only: the state of the world has another field in its place.
	Removed int
}

// Read reads a response of either variant, or as much of it as is well formed.
func Read(m []byte) (r Response) {
	each(m, func(number protowire.Number, value []byte) {
		switch number {
		case resources:
			r.Resources++
		case removed:
			r.Removed++
		case version:
			text, _ := protowire.ConsumeString(value)
			r.Version = text
		case nonce:
			text, _ := protowire.ConsumeString(value)
			r.Nonce = text
		}
	})
	return r
}

// Has is true for a message that has a field.
func Has(m []byte, field protowire.Number) (has bool) {
	each(m, func(number protowire.Number, _ []byte) { has = has || number == field })
	return has
}

func each(m []byte, do func(protowire.Number, []byte)) {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return
		}
		m = m[n:]
		size := protowire.ConsumeFieldValue(number, kind, m)
		if size < 0 {
			return
		}
		do(number, m)
		m = m[size:]
	}
}
