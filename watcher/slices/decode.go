package slices

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// Message is an EndpointSlice as it was sent, or the metadata of a Pod.
type Message struct {
	Name types.NamespacedName
	// Slice is nil where it is the metadata of a Pod; otherwise there are NoLabels.
	Slice  *Slice
	Labels LabelSet
	// ResourceVersion is that of the object, or of a bookmark.
	ResourceVersion string
	// ListEnd is true for the bookmark that ends the list with which a watch begins.
	ListEnd bool
}

// The numbers of the fields that are read, of k8s.io/api/discovery/v1 and what it uses, and of a PartialObjectMetadata.
const (
	unknownTypeMeta, unknownRaw, unknownContentEncoding = 1, 2, 3
	typeAPIVersion, typeKind                            = 1, 2

	partialMetadata = 1

	sliceMetadata, sliceEndpoints, slicePorts, sliceAddressType = 1, 2, 3, 4

	metaName, metaNamespace, metaResourceVersion, metaLabels, metaAnnotations = 1, 3, 6, 11, 12

	endpointAddresses, endpointConditions, endpointTargetRef, endpointNodeName, endpointZone = 1, 2, 4, 6, 7

	conditionReady, conditionServing, conditionTerminating = 1, 2, 3

	refKind, refNamespace, refName, refUID = 1, 2, 3, 4

	portName, portNumber = 1, 3

	entryKey, entryValue = 1, 2
)

// protobufPrefix begins each object of protobuf that an API server sends. A runtime.Unknown follows, with the object's kind and its bytes.
const protobufPrefix = "k8s\x00"

// Decode decodes an EndpointSlice that was sent as protobuf, or the metadata of a Pod, right into what podway reads of it: most of the bytes are of no
// use here, and of each endpoint a dozen pieces of memory would be made only to be thrown away. It returns false for anything else and for what it
// does not understand, of which the decoder of client-go knows more.
func Decode(sent []byte) (message Message, ok bool) {
	text, ok := strings.CutPrefix(string(sent), protobufPrefix) // one copy, of which all strings below are parts
	if !ok {
		return Message{}, false
	}
	version, kind, object, ok := object(text)
	if !ok {
		return Message{}, false
	}
	d := drafts.Get().(*draft)
	defer drafts.Put(d)
	d.reset()
	switch {
	case kind == "EndpointSlice" && version == discoveryv1.SchemeGroupVersion.String():
		if !d.read(object, &message) {
			return Message{}, false
		}
		message.Slice = d.slice()
		message.Name = message.Slice.Key()
	case kind == "PartialObjectMetadata" && version == metav1.SchemeGroupVersion.String():
		if !d.readPartial(object, &message) {
			return Message{}, false
		}
		message.Name = types.NamespacedName{Namespace: shared(d.namespace), Name: strings.Clone(d.name)}
		message.Labels = d.labelSet()
	default:
		return Message{}, false
	}
	return message, true
}

// object takes the bytes of an object out of a runtime.Unknown.
func object(encoded string) (version, kind, object string, ok bool) {
	f := fields{rest: encoded}
	for f.next() {
		switch f.number {
		case unknownTypeMeta:
			inner := fields{rest: f.text()}
			for inner.next() {
				switch inner.number {
				case typeAPIVersion:
					version = inner.text()
				case typeKind:
					kind = inner.text()
				}
			}
			f.bad = f.bad || !inner.ended()
		case unknownRaw:
			object = f.text()
		case unknownContentEncoding:
			f.bad = f.bad || f.text() != ""
		}
	}
	return version, kind, object, f.ended()
}

func (d *draft) read(encoded string, message *Message) bool {
	f := fields{rest: encoded}
	ok := true
	for ok && f.next() {
		switch f.number {
		case sliceMetadata:
			ok = d.readMetadata(f.text(), message)
		case sliceEndpoints:
			d.endpoints = append(d.endpoints, draftEndpoint{})
			ok = d.endpoints[len(d.endpoints)-1].read(f.text())
		case slicePorts:
			d.ports = append(d.ports, draftPort{})
			ok = d.ports[len(d.ports)-1].read(f.text())
		case sliceAddressType:
			d.addressType = f.text()
		}
	}
	return ok && f.ended()
}

func (d *draft) readPartial(encoded string, message *Message) bool {
	f := fields{rest: encoded}
	ok := true
	for ok && f.next() {
		if f.number == partialMetadata {
			ok = d.readMetadata(f.text(), message)
		}
	}
	return ok && f.ended()
}

func (d *draft) readMetadata(encoded string, message *Message) bool {
	f := fields{rest: encoded}
	for f.next() {
		switch f.number {
		case metaName:
			d.name = f.text()
		case metaNamespace:
			d.namespace = f.text()
		case metaResourceVersion:
			message.ResourceVersion = strings.Clone(f.text())
		case metaLabels:
			key, value, _ := f.entry()
			d.labels = append(d.labels, pods.Label{Name: key, Value: value})
			if key == discoveryv1.LabelServiceName {
				d.service = value
			}
		case metaAnnotations:
			switch key, value, _ := f.entry(); key {
			case corev1.EndpointsLastChangeTriggerTime:
				d.changed = value
			case metav1.InitialEventsAnnotationKey:
				message.ListEnd = value == "true"
			}
		}
	}
	return f.ended()
}

func (e *draftEndpoint) read(encoded string) bool {
	f := fields{rest: encoded}
	ok := true
	for addressed := false; ok && f.next(); {
		switch f.number {
		case endpointAddresses:
			if address := f.text(); !addressed {
				e.address, addressed = address, true
			}
		case endpointConditions:
			ok = e.readConditions(f.text())
		case endpointTargetRef:
			ok = e.readTargetRef(f.text())
		case endpointNodeName:
			e.node = f.text()
		case endpointZone:
			e.zone = f.text()
		}
	}
	return ok && f.ended()
}

func (e *draftEndpoint) readConditions(encoded string) bool {
	f := fields{rest: encoded}
	for f.next() {
		switch f.number {
		case conditionReady:
			e.ready = f.condition()
		case conditionServing:
			e.serving = f.condition()
		case conditionTerminating:
			e.terminating = f.condition()
		}
	}
	return f.ended()
}

func (e *draftEndpoint) readTargetRef(encoded string) bool {
	f := fields{rest: encoded}
	for f.next() {
		switch f.number {
		case refKind:
			e.kind = f.text()
		case refNamespace:
			e.namespace = f.text()
		case refName:
			e.name = f.text()
		case refUID:
			e.uid = f.text()
		}
	}
	return f.ended()
}

func (p *draftPort) read(encoded string) bool {
	f := fields{rest: encoded}
	for f.next() {
		switch f.number {
		case portName:
			p.name = f.text()
		case portNumber:
			p.number = int32(f.value())
		}
	}
	return f.ended()
}
