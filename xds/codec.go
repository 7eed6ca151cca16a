package xds

import (
	"slices"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers what codec falls back to
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// codec is that of protobuf, and hands on what is encoded already.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal is for encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*encoded); ok {
		return m.buffers, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal is for encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if in, ok := v.(decoder); ok {
		return in.decode(data)
	}
	return c.CodecV2.Unmarshal(data, v)
}

// encoded is a response in pieces, of which those of resources are shared by all streams. It is not to be changed.
type encoded struct {
	buffers mem.BufferSlice
	// few is room for the buffers of a response with one resource.
	few [3]mem.Buffer
}

// newEncoded begins a response with what comes before its resources, and has room for so many.
func newEncoded(head []byte, resources int) *encoded {
	m := &encoded{}
	m.buffers = append(slices.Grow(m.few[:0], 1+2*resources), mem.SliceBuffer(head))
	return m
}

// newHead begins a DiscoveryResponse or a DeltaDiscoveryResponse, whose fields have the same numbers.
func newHead(version, typeURL, nonce string) []byte {
	head := make([]byte, 0, sizeField(len(version))+sizeField(len(typeURL))+sizeField(len(nonce)))
	if version != "" {
		head = appendText(head, responseVersion, version)
	}
	return appendText(appendText(head, responseType, typeURL), responseNonce, nonce)
}

func appendText(b []byte, number protowire.Number, text string) []byte {
	return append(appendHeader(b, number, len(text)), text...)
}

// addDelta adds a record to a DeltaDiscoveryResponse.
func (m *encoded) addDelta(r *record) { m.buffers = append(m.buffers, r.deltaHead, r.body) }

// addState adds a record to a DiscoveryResponse.
func (m *encoded) addState(r *record) { m.buffers = append(m.buffers, r.stateHead, r.body) }
