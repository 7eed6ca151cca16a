package xds

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// requestNames is the field of a DeltaDiscoveryRequest's resource_names_subscribe, and of a DiscoveryRequest's resource_names.
const requestNames = 3

// fewestEncoded is from how many on the names of a request are decoded when it is taken in.
const fewestEncoded = 32

// incoming is a request as it arrives. A thousand streams that come at once name the same thousand resources: were each name made a string for
// each of them, what is kept among those would keep the pages of all resident. So many names stay encoded until they are compared with those
// of the view.
type incoming[M any] struct {
	message M
	names   encodedNames
	// size is that of the message, in bytes.
	size int
}

// decoder is an incoming, for the codec.
type decoder interface{ decode(mem.BufferSlice) error }

// encodedNames are names, each with its length before it.
type encodedNames struct {
	raw   []byte
	count int
}

var errNotUTF8 = errors.New("a resource name is not valid UTF-8")

// reset forgets the last request.
func (in *incoming[M]) reset() { *in = incoming[M]{} }

func (in *incoming[M]) decode(data mem.BufferSlice) error {
	in.size = data.Len()
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	m := any(&in.message).(proto.Message)
	encoded := buffer.ReadOnlyData()
	count, size, err := measureNames(encoded)
	if err != nil || count < fewestEncoded {
		return proto.Unmarshal(encoded, m)
	}
	in.names = encodedNames{raw: make([]byte, 0, size), count: count}
	rest := make([]byte, 0, len(encoded)-size)
	err = eachField(encoded, func(number protowire.Number, field, name []byte) error {
		switch {
		case number != requestNames:
			rest = append(rest, field...)
		case !utf8.Valid(name):
			return errNotUTF8
		default:
			in.names.raw = append(protowire.AppendVarint(in.names.raw, uint64(len(name))), name...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return proto.Unmarshal(rest, m)
}

// measureNames returns how many names there are and what they take at the most, each with its length. An error says that the message is malformed.
func measureNames(encoded []byte) (count, size int, err error) {
	err = eachField(encoded, func(number protowire.Number, field, _ []byte) error {
		if number == requestNames {
			count, size = count+1, size+len(field)-1
		}
		return nil
	})
	return count, size, err
}

// eachField calls do with each field of a message and, where that can be a name, with what it holds.
func eachField(encoded []byte, do func(number protowire.Number, field, name []byte) error) error {
	for len(encoded) > 0 {
		number, kind, tag := protowire.ConsumeTag(encoded)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		size := protowire.ConsumeFieldValue(number, kind, encoded[tag:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		field := encoded[:tag+size]
		var name []byte
		if kind == protowire.BytesType {
			name, _ = protowire.ConsumeBytes(field[tag:])
		} else if number == requestNames {
			number = 0 // none that is known
		}
		if err := do(number, field, name); err != nil {
			return err
		}
		encoded = encoded[tag+size:]
	}
	return nil
}

// decode decodes the names that are still encoded. The view is locked.
func (r *request) decode(v *view) {
	if r.manySubscribe.count > 0 {
		r.subscribe, r.manySubscribe = v.namesOf(r.typeURL, r.manySubscribe), encodedNames{}
	}
	if r.manyNames.count > 0 {
		r.names, r.manyNames = v.namesOf(r.typeURL, r.manyNames), encodedNames{}
	}
}

// namesOf decodes names. Those that the view has are its own strings. The view is locked.
func (v *view) namesOf(typeURL string, encoded encodedNames) []string {
	records := v.records(typeURL)
	names := make([]string, 0, encoded.count)
	for raw := encoded.raw; len(raw) > 0; {
		name, n := protowire.ConsumeBytes(raw)
		raw = raw[n:]
		if r := records[string(name)]; r != nil {
			names = append(names, r.key.Name)
		} else {
			names = append(names, string(name))
		}
	}
	return names
}
