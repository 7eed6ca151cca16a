package memory

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/podway/podway/api/pods"
)

// encoder writes a payload. What comes again is written as the number of its first time.
type encoder struct {
	out     []byte
	strings map[string]uint64
	ports   map[string]uint64
	labels  map[string]uint64
	key     []byte       // scratch
	pairs   []pods.Label // scratch

	// name is that of a Pod, and before of the one before it.
	name, before []byte

	// lastPorts and lastRef save looking up the ports of the Pods of one slice again and again.
	lastPorts []pods.Port
	lastRef   uint64
}

func (e *encoder) uint(n uint64) { e.out = binary.AppendUvarint(e.out, n) }
func (e *encoder) int(n int32)   { e.out = binary.AppendVarint(e.out, int64(n)) }

// literal writes a string that is not expected to come again.
func (e *encoder) literal(s string) {
	e.uint(uint64(len(s)))
	e.out = append(e.out, s...)
}

// string writes 0 and the string the first time, and its number from then on.
func (e *encoder) string(s string) {
	ref := e.strings[s]
	e.uint(ref)
	if ref == 0 {
		e.strings[s] = uint64(len(e.strings) + 1)
		e.literal(s)
	}
}

// length writes the length of a slice, and keeps nil and empty apart.
func (e *encoder) length(n int, isNil bool) {
	if isNil {
		e.uint(0)
		return
	}
	e.uint(uint64(n) + 1)
}

// portList writes 0 for nil, 1 and the list the first time, and its number from then on.
func (e *encoder) portList(ports []pods.Port) {
	if ports == nil {
		e.uint(0)
		return
	}
	if n := len(ports); n > 0 && n == len(e.lastPorts) && &ports[0] == &e.lastPorts[0] {
		e.uint(e.lastRef)
		return
	}
	e.key = e.key[:0]
	for _, port := range ports {
		e.key = binary.AppendUvarint(e.key, uint64(len(port.Name)))
		e.key = append(e.key, port.Name...)
		e.key = binary.AppendVarint(e.key, int64(port.Number))
	}
	ref, known := e.ports[string(e.key)]
	if !known {
		ref = uint64(len(e.ports) + 2)
		e.ports[string(e.key)] = ref
		e.uint(1)
		e.uint(uint64(len(ports)))
		for _, port := range ports {
			e.string(port.Name)
			e.int(port.Number)
		}
	} else {
		e.uint(ref)
	}
	e.lastPorts, e.lastRef = ports, ref
}

// labelMap writes a map of labels as the list of them, sorted by name.
func (e *encoder) labelMap(labels map[string]string) {
	if labels == nil {
		e.uint(0)
		return
	}
	e.pairs = e.pairs[:0]
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		e.pairs = append(e.pairs, pods.Label{Name: name, Value: labels[name]})
	}
	e.labelList(e.pairs)
}

// labelList writes 0 for nil, 1 and the list the first time, and its number from then on.
func (e *encoder) labelList(labels []pods.Label) {
	if labels == nil {
		e.uint(0)
		return
	}
	e.key = e.key[:0]
	for i := range labels {
		for _, s := range [...]string{labels[i].Name, labels[i].Value} {
			e.key = binary.AppendUvarint(e.key, uint64(len(s)))
			e.key = append(e.key, s...)
		}
	}
	ref, known := e.labels[string(e.key)]
	if known {
		e.uint(ref)
		return
	}
	e.labels[string(e.key)] = uint64(len(e.labels) + 2)
	e.uint(1)
	e.uint(uint64(len(labels)))
	for i := range labels {
		e.string(labels[i].Name)
		e.string(labels[i].Value)
	}
}
