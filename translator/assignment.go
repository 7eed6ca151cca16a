package translator

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A ClusterLoadAssignment is encoded right away: there are as many endpoints as Pods, each change of one makes those of its tunnel again, and as
// messages they would cost ten times the time and memory. The numbers are those of the fields in Envoy's protos, in whose order they stand,
// map keys sorted. All are below 16, so that a tag has one byte.
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

// encodeAssignment encodes a ClusterLoadAssignment with all backends in one locality, in their order; with none it has no locality. hostname is the Host that
// they receive where a route rewrites it to the endpoint's; "" leaves the client's.
func encodeAssignment(name string, backends *sorter, hostname string) []byte {
	w := encoders.Get().(*encoder)
	defer encoders.Put(w)
	w.at = len(w.buffer)
	name, hostname = valid(name), valid(hostname)
	for i := range slices.Backward(backends.order) {
		w.endpoint(backends.at(i), hostname)
	}
	w.reserve(len(name))
	if len(backends.order) > 0 {
		w.message(assignmentEndpoints, len(w.buffer))
	}
	text(w, assignmentName, name)
	out := make([]byte, len(w.buffer)-w.at) // it is kept: no byte more
	copy(out, w.buffer[w.at:])
	return out
}

// encoder writes from the end to the beginning: so the size of a message is known when it is written, which stands before it.
type encoder struct {
	buffer []byte
	// at is where what is written begins.
	at int
	// name is scratch memory.
	name []byte
}

var encoders = sync.Pool{New: func() any { return &encoder{buffer: make([]byte, 4<<10)} }}

// around is more than all that is written of an endpoint beside its strings, and of an assignment beside its name.
const around = 256

// reserve makes room for strings of so many bytes, and what is around them.
func (w *encoder) reserve(size int) {
	size += around
	if w.at >= size {
		return
	}
	written := len(w.buffer) - w.at
	larger := make([]byte, 2*len(w.buffer)+size)
	copy(larger[len(larger)-written:], w.buffer[w.at:])
	w.buffer, w.at = larger, len(larger)-written
}

// endpoint writes an LbEndpoint.
func (w *encoder) endpoint(of *backend, hostname string) {
	var namespace, cluster string
	w.name = w.name[:0]
	if of.pod != nil {
		cluster, namespace = valid(of.cluster), valid(of.pod.Namespace)
		if w.name = of.pod.AppendName(w.name); !utf8.Valid(w.name) {
			w.name = bytes.ToValidUTF8(w.name, []byte(invalid))
		}
	}
	w.reserve(len(hostname) + len(cluster) + len(namespace) + len(w.name))
	end := w.at
	w.number(wrapped, uint64(of.weight))
	w.message(lbWeight, end)
	if of.pod != nil {
		inMetadata := w.at
		structEntry(w, "pod", w.name)
		structEntry(w, "namespace", namespace)
		structEntry(w, "cluster", cluster)
		w.message(mapValue, inMetadata)
		text(w, mapKey, metadataNamespace)
		w.message(metadataFilter, inMetadata)
		w.message(lbMetadata, inMetadata)
	}
	inEndpoint := w.at
	if hostname != "" {
		text(w, endpointHostname, hostname)
	}
	inAddress := w.at
	w.number(socketPort, uint64(of.address.Port()))
	var written [64]byte
	address := of.address.Addr().AppendTo(written[:0])
	text(w, socketAddress, address)
	w.message(addressSocket, inAddress)
	w.message(endpointAddress, inAddress)
	w.message(lbEndpoint, inEndpoint)
	w.message(localityEndpoints, end)
}

// structEntry writes an entry of a Struct.
func structEntry[T string | []byte](w *encoder, key string, value T) {
	end := w.at
	text(w, valueString, value)
	w.message(mapValue, end)
	text(w, mapKey, key)
	w.message(structFields, end)
}

// message makes a message of what was written since end.
func (w *encoder) message(number byte, end int) { w.tag(number, end-w.at) }

// text writes a field of text or bytes.
func text[T string | []byte](w *encoder, number byte, s T) {
	w.at -= len(s)
	copy(w.buffer[w.at:], s)
	w.tag(number, len(s))
}

// tag writes what stands before a field of that size.
func (w *encoder) tag(number byte, size int) {
	w.varint(uint64(size))
	w.at--
	w.buffer[w.at] = number<<3 | byte(protowire.BytesType)
}

func (w *encoder) number(number byte, n uint64) {
	w.varint(n)
	w.at--
	w.buffer[w.at] = number<<3 | byte(protowire.VarintType)
}

func (w *encoder) varint(n uint64) {
	if n < 1<<7 {
		w.at--
		w.buffer[w.at] = byte(n)
		return
	}
	var text [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(text[:], n)
	w.at -= size
	copy(w.buffer[w.at:], text[:size])
}

// invalid stands for what is no UTF-8.
const invalid = "\uFFFD"

// valid is a string as protobuf allows it: what an API server sends may be none.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, invalid)
}
