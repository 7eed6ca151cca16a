package memory

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// The flags of a Pod.
const (
	flagReady = 1 << iota
	flagServing
	flagTerminating
	flagAddress // the lower of two bits: none, 4 bytes, 16 bytes, 16 bytes and a zone, which is not written any more
	_
	flagUID       // the UID is 16 bytes, otherwise a string: "" for none
	flagNamespace // the namespace is the Service's, otherwise a string follows
	flagsEnd

	addressNone = 0
	address4    = 1
	address6    = 2
	addressZone = 3
)

// savedSize is how many bytes at the beginning of a payload say when it was saved; all others are content.
const savedSize = 8 + 4

// maxShared is how many bytes of the name before it a Pod's name takes over at most, which bounds how much larger than
// the file its content can be.
const maxShared = 255

// encode returns the payload of a Cluster: the same bytes for the same content.
func encode(c *Cluster) ([]byte, error) {
	services, sets, err := c.sorted()
	if err != nil {
		return nil, err
	}
	total := 0
	for _, set := range sets {
		total += len(set.Pods)
	}
	if total > maxPods {
		return nil, fmt.Errorf("it has %d Pods; at most %d of a cluster are remembered", total, maxPods)
	}
	const podSize, serviceSize, rest = 40, 60, 1024 // typical
	e := &encoder{
		out:     make([]byte, 0, total*podSize+len(services)*serviceSize+rest),
		strings: map[string]uint64{"": 1}, ports: map[string]uint64{}, labels: map[string]uint64{},
		pairs: []pods.Label{}, // nil would be another list
	}
	e.out = binary.BigEndian.AppendUint64(e.out, uint64(c.Saved.Unix()))
	e.out = binary.BigEndian.AppendUint32(e.out, uint32(c.Saved.Nanosecond()))
	e.string(c.Name)
	e.string(c.UID)
	e.string(c.Source)
	e.scope(c.Scope)
	e.uint(uint64(len(services)))
	for _, service := range services {
		e.service(service)
	}
	e.uint(uint64(len(sets)))
	for _, set := range sets {
		e.set(set)
	}
	if len(e.out) > maxPayload {
		return nil, fmt.Errorf("it takes %d bytes; at most %d of a cluster are remembered", len(e.out), maxPayload)
	}
	return e.out, nil
}

func (e *encoder) scope(s *snapshot.Scope) {
	switch {
	case s == nil:
		e.uint(0)
	case s.All:
		e.uint(1)
	default:
		e.uint(2)
	}
	if s != nil {
		e.length(len(s.Namespaces), s.Namespaces == nil)
		for _, namespace := range s.Namespaces {
			e.string(namespace)
		}
	}
}

func (e *encoder) service(s *pods.Service) {
	e.string(s.Key.Namespace)
	e.string(s.Key.Name)
	if s.ExternalName {
		e.uint(1)
	} else {
		e.uint(0)
	}
	e.length(len(s.Ports), s.Ports == nil)
	for _, port := range s.Ports {
		e.string(port.Name)
		e.int(port.Port)
		e.string(port.Protocol)
		e.string(port.AppProtocol)
	}
	e.labelList(s.Selector)
}

func (e *encoder) set(s *pods.Set) {
	e.string(s.Key.Namespace)
	e.string(s.Key.Name)
	e.length(len(s.Pods), s.Pods == nil)
	e.name = e.name[:0]
	for i := range s.Pods {
		e.pod(&s.Pods[i], s.Key.Namespace)
	}
}

func (e *encoder) pod(p *pods.Pod, namespace string) {
	named := p.UID != pods.UID{}
	address := p.Address.Addr()
	kind := addressKind(address)
	flags := flag(p.Ready, flagReady) | flag(p.Serving, flagServing) | flag(p.Terminating, flagTerminating) |
		flag(named, flagUID) | flag(p.Namespace == namespace, flagNamespace) | kind*flagAddress
	e.out = append(e.out, flags)
	if p.Namespace != namespace {
		e.string(p.Namespace)
	}
	e.before, e.name = e.name, p.AppendName(e.before[:0])
	shared := sharedPrefix(e.before, e.name)
	e.uint(uint64(shared))
	e.uint(uint64(len(e.name) - shared))
	e.out = append(e.out, e.name[shared:]...)
	if named {
		e.out = append(e.out, p.UID[:]...)
	} else {
		e.literal("")
	}
	e.string(p.Node())
	e.string(p.Zone())
	switch kind {
	case address4:
		bytes := address.As4()
		e.out = append(e.out, bytes[:]...)
	case address6:
		e.out = append(e.out, p.Address[:]...)
	}
	e.portList(p.Ports)
	e.labelMap(p.Labels)
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func addressKind(a netip.Addr) byte {
	switch {
	case !a.IsValid():
		return addressNone
	case a.Is4():
		return address4
	}
	return address6
}

// sharedPrefix is how many bytes two names begin with alike, at most maxShared.
func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b), maxShared)
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
