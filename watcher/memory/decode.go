package memory

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// decode reads what encode wrote. A string, list or map that comes again is the same one in memory, and nothing of it
// is part of the payload, which can be freed.
func decode(payload []byte) (*Cluster, error) {
	d := &decoder{in: payload, strings: []string{""}}
	c := &Cluster{}
	if saved := d.bytes(savedSize); saved != nil {
		seconds, nanoseconds := binary.BigEndian.Uint64(saved), binary.BigEndian.Uint32(saved[8:])
		c.Saved = time.Unix(int64(seconds), int64(nanoseconds)).UTC()
	}
	c.Name, c.UID, c.Source = d.string(), d.string(), d.string()
	d.cluster = c.Name
	c.Scope = d.scope()

	const serviceSize, setSize = 5, 3 // at least
	if n := d.services(serviceSize); n > 0 {
		c.Services = make([]*pods.Service, 0, n)
		for range n {
			c.Services = append(c.Services, d.service())
		}
	}
	if n := d.services(setSize); n > 0 {
		c.Sets = make([]*pods.Set, 0, n)
		for range n {
			c.Sets = append(c.Sets, d.set())
		}
	}
	if d.err == nil && len(d.in) > 0 {
		d.fail("%d bytes are left over", len(d.in))
	}
	if d.err == nil {
		d.checkOrder(c)
	}
	if d.err != nil {
		return nil, d.err
	}
	return c, nil
}

// checkOrder sees to it that no Service comes twice: which of the two would be right?
func (d *decoder) checkOrder(c *Cluster) {
	for i := 1; i < len(c.Services); i++ {
		if c.Services[i-1].Key.Compare(c.Services[i].Key) >= 0 {
			d.fail("Service %s is out of order", c.Services[i].Key)
		}
	}
	for i := 1; i < len(c.Sets); i++ {
		if c.Sets[i-1].Key.Compare(c.Sets[i].Key) >= 0 {
			d.fail("the Set of %s is out of order", c.Sets[i].Key)
		}
	}
}

// services reads how many Services or Sets follow.
func (d *decoder) services(size int) int {
	n := d.count(size)
	if n > maxServices {
		d.fail("it has %d Services; at most %d are read", n, maxServices)
		return 0
	}
	return n
}

func (d *decoder) key() pods.ServiceKey {
	return pods.ServiceKey{Cluster: d.cluster, Namespace: d.string(), Name: d.string()}
}

func (d *decoder) scope() *snapshot.Scope {
	kind := d.choice(3, "which namespaces are known")
	if kind == 0 {
		return nil
	}
	s := &snapshot.Scope{All: kind == 1}
	n, isNil := d.length(1)
	if isNil {
		return s
	}
	s.Namespaces = make([]string, n)
	for i := range s.Namespaces {
		s.Namespaces[i] = d.string()
	}
	return s
}

func (d *decoder) service() *pods.Service {
	s := &pods.Service{Key: d.key()}
	s.ExternalName = d.choice(2, "whether a Service is an ExternalName") == 1
	const portSize = 4
	if n, isNil := d.length(portSize); !isNil {
		s.Ports = make([]pods.ServicePort, n)
		for i := range s.Ports {
			s.Ports[i] = pods.ServicePort{Name: d.string(), Port: d.int(), Protocol: d.string(), AppProtocol: d.string()}
		}
	}
	selector, _ := d.labelMap()
	s.Selector = pods.LabelsOf(selector)
	return s
}

func (d *decoder) set() *pods.Set {
	s := &pods.Set{Key: d.key()}
	const podSize = 8
	n, isNil := d.length(podSize)
	if isNil {
		return s
	}
	if d.pods += n; d.pods > maxPods {
		d.fail("it has more than %d Pods; at most so many are read", maxPods)
		return s
	}
	s.Pods = make([]pods.Pod, n)
	d.groups, d.names = map[groupOf]*pods.Group{}, d.names[:0]
	for i := range s.Pods {
		d.pod(&s.Pods[i], s.Key.Namespace)
	}
	if d.err == nil {
		pods.GiveNames(s.Pods, d.names)
	}
	return s
}

func (d *decoder) pod(p *pods.Pod, namespace string) {
	head := d.bytes(1)
	if head == nil {
		return
	}
	flags := head[0]
	if flags >= flagsEnd {
		d.fail("%d are not the flags of a Pod", flags)
		return
	}
	p.Ready, p.Serving, p.Terminating = flags&flagReady != 0, flags&flagServing != 0, flags&flagTerminating != 0
	if flags&flagNamespace == 0 {
		namespace = d.string()
	}
	d.name()
	p.UID = d.uid(flags&flagUID != 0)
	node, zone := d.string(), d.string()
	p.Place = pods.PlaceOf(node, zone)
	p.Address = pods.AddressOf(d.address(flags / flagAddress % (addressZone + 1)))
	p.Group = d.group(namespace)
}

// name reads the name of a Pod.
func (d *decoder) name() {
	before := ""
	if n := len(d.names); n > 0 {
		before = d.names[n-1]
	}
	shared := d.uint()
	if shared > uint64(min(len(before), maxShared)) {
		d.fail("a Pod's name is longer than the one before")
		return
	}
	name := before[:shared] + string(d.literal())
	if len(name) > pods.MaxName {
		d.fail("a Pod's name has %d bytes; none has more than %d", len(name), pods.MaxName)
	}
	d.names = append(d.names, name)
}

// uid reads the UID of a Pod. One that was no UUID may be there as a string.
func (d *decoder) uid(packed bool) pods.UID {
	if !packed {
		return pods.UIDOf(string(d.literal()))
	}
	if b := d.bytes(len(pods.UID{})); b != nil {
		return pods.UID(b)
	}
	return pods.UID{}
}

func (d *decoder) address(kind byte) netip.Addr {
	switch kind {
	case address4:
		if b := d.bytes(4); b != nil {
			return netip.AddrFrom4([4]byte(b))
		}
	case address6, addressZone:
		if b := d.bytes(16); b != nil {
			if kind == addressZone {
				d.string()
			}
			return netip.AddrFrom16([16]byte(b))
		}
	}
	return netip.Addr{}
}
