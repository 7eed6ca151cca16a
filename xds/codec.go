package xds

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers what codec falls back to
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// codec is that of protobuf, and hands on what is encoded already.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal is for encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(encoded); ok {
		return mem.BufferSlice(m), nil
	}
	return c.CodecV2.Marshal(v)
}

// encoded is a response in pieces, of which those of resources are shared by all streams. It is not to be changed.
type encoded mem.BufferSlice

// newEncoded begins a response with all of it but its resources, and has room for so many.
func newEncoded(response proto.Message, resources int) (encoded, error) {
	head, err := proto.Marshal(response)
	if err != nil {
		return nil, err
	}
	return append(make(encoded, 0, 1+2*resources), mem.SliceBuffer(head)), nil
}

// addDelta adds a record to a DeltaDiscoveryResponse.
func (m *encoded) addDelta(r *record) { *m = append(*m, r.deltaHead, r.body) }

// addState adds a record to a DiscoveryResponse.
func (m *encoded) addState(r *record) { *m = append(*m, r.stateHead, r.body) }
