package memory

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/podway/podway/api/pods"
)

// decoder reads a payload. After a mistake, all that it reads is zero, and err says what it was.
type decoder struct {
	in      []byte
	err     error
	strings []string
	ports   [][]pods.Port
	labels  []map[string]string
	cluster string
	pods    int

	// groups and names are those of the Pods of a Set.
	groups map[groupOf]*pods.Group
	names  []string
}

// groupOf is what makes two Groups one: a namespace, and the numbers of a list of ports and of a map of labels.
type groupOf struct {
	namespace     string
	ports, labels uint64
}

func (d *decoder) fail(format string, arguments ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, arguments...)
	}
	d.in = nil
}

// bytes returns the next n bytes, nil where there are fewer.
func (d *decoder) bytes(n int) []byte {
	if n > len(d.in) {
		d.fail("it ends too early")
		return nil
	}
	b := d.in[:n]
	d.in = d.in[n:]
	return b
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.in)
	if size <= 0 {
		d.fail("a number is cut short or too large")
		return 0
	}
	d.in = d.in[size:]
	return n
}

func (d *decoder) int() int32 {
	n, size := binary.Varint(d.in)
	if size <= 0 || n < math.MinInt32 || n > math.MaxInt32 {
		d.fail("a number is cut short or too large")
		return 0
	}
	d.in = d.in[size:]
	return int32(n)
}

// choice reads a number below n.
func (d *decoder) choice(n uint64, what string) uint64 {
	value := d.uint()
	if value >= n {
		d.fail("%d does not say %s", value, what)
		return 0
	}
	return value
}

// count reads how many things follow, of which each takes at least size bytes: never more than can be there.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.in)/size) {
		d.fail("it ends too early")
		return 0
	}
	return int(n)
}

// length reads the length of a slice, and isNil where it was nil.
func (d *decoder) length(size int) (n int, isNil bool) {
	plusOne := d.uint()
	if plusOne == 0 {
		return 0, true
	}
	if plusOne-1 > uint64(len(d.in)/size) {
		d.fail("it ends too early")
		return 0, true
	}
	return int(plusOne - 1), false
}

func (d *decoder) literal() []byte {
	n := d.uint()
	if n > uint64(len(d.in)) {
		d.fail("it ends too early")
		return nil
	}
	return d.bytes(int(n))
}

func (d *decoder) string() string {
	ref := d.uint()
	if ref == 0 {
		if d.err != nil {
			return ""
		}
		s := string(d.literal())
		d.strings = append(d.strings, s)
		return s
	}
	if ref > uint64(len(d.strings)) {
		d.fail("string %d is not there", ref)
		return ""
	}
	return d.strings[ref-1]
}

// group reads a list of ports and a map of labels, and returns the one Group that has both in the namespace.
func (d *decoder) group(namespace string) *pods.Group {
	ports, portsRef := d.portList()
	labels, labelsRef := d.labelMap()
	of := groupOf{namespace, portsRef, labelsRef}
	group := d.groups[of]
	if group == nil {
		group = &pods.Group{Namespace: namespace, Ports: ports, Labels: labels}
		d.groups[of] = group
	}
	return group
}

// portList reads a list of ports, and the number by which it is known from then on.
func (d *decoder) portList() (ports []pods.Port, ref uint64) {
	ref = d.uint()
	if ref > 1 {
		if ref-2 >= uint64(len(d.ports)) {
			d.fail("list of ports %d is not there", ref)
			return nil, 0
		}
		return d.ports[ref-2], ref
	}
	if ref == 0 {
		return nil, 0
	}
	const portSize = 2
	ports = make([]pods.Port, d.count(portSize))
	for i := range ports {
		ports[i] = pods.Port{Name: d.string(), Number: d.int()}
	}
	d.ports = append(d.ports, ports)
	return ports, uint64(len(d.ports) + 1)
}

// labelMap reads a map of labels, and the number by which it is known from then on.
func (d *decoder) labelMap() (labels map[string]string, ref uint64) {
	ref = d.uint()
	if ref > 1 {
		if ref-2 >= uint64(len(d.labels)) {
			d.fail("map of labels %d is not there", ref)
			return nil, 0
		}
		return d.labels[ref-2], ref
	}
	if ref == 0 {
		return nil, 0
	}
	const pairSize, usualLabels = 2, 32
	n := d.count(pairSize)
	labels = make(map[string]string, min(n, usualLabels))
	for range n {
		name := d.string()
		labels[name] = d.string()
	}
	if len(labels) != n {
		d.fail("a label comes twice")
	}
	d.labels = append(d.labels, labels)
	return labels, uint64(len(d.labels) + 1)
}
