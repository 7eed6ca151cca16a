package fakeapi

import (
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/bench/watcher/scene"
)

// remembered is how many events a watch can be resumed over.
const remembered = 20_000

// Cluster is the API server of one cluster.
type Cluster struct {
	number int
	size   scene.Size
	door   *door
	// slow is how long each answer waits, in nanoseconds.
	slow atomic.Int64

	mu       sync.Mutex
	version  int64
	compact  int64 // versions up to this are forgotten
	history  []event
	services [][]int // generations of the Pods, by Service
	versions []int64 // of the slices
	changed  []time.Time
	watches  map[*watch]struct{}
}

// event is a change of an EndpointSlice, ready to be sent.
type event struct {
	version int64
	frame   []byte
}

func newCluster(number int, size scene.Size) *Cluster {
	c := &Cluster{
		number: number, size: size, version: 1000, compact: 1000, watches: map[*watch]struct{}{},
		services: make([][]int, size.Services), versions: make([]int64, size.Services), changed: make([]time.Time, size.Services),
	}
	for service := range c.services {
		c.services[service] = make([]int, size.Pods)
		c.versions[service] = 900
		c.changed[service] = scene.Made
	}
	return c
}

// Replace gives a Pod another address, and says which and when the event was handed to the watches.
func (c *Cluster) Replace(service, pod int) Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services[service][pod] = (c.services[service][pod] + 1) % 15
	c.version++
	c.versions[service], c.changed[service] = c.version, time.Now()
	frame := frameOf("MODIFIED", c.slice(service))
	at := time.Now()
	c.send(event{version: c.version, frame: frame})
	address := scene.Address(c.number, service, pod, c.services[service][pod])
	return Change{At: at.UnixNano(), Address: address.String()}
}

// Change is a Pod that got another address.
type Change struct {
	At      int64  `json:"at"` // Unix nanoseconds
	Address string `json:"address"`
}

// send hands an event to all watches of slices. c.mu is held.
func (c *Cluster) send(e event) {
	if len(c.history) == remembered {
		c.compact = c.history[0].version
		c.history = c.history[1:]
	}
	c.history = append(c.history, e)
	for w := range c.watches {
		select {
		case w.events <- e.frame:
		default: // it has fallen behind
			w.end()
			delete(c.watches, w)
		}
	}
}

// Expire ends all watches of slices as a server does that has forgotten where they were: a fresh list has to be fetched.
func (c *Cluster) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.compact, c.history = c.version, nil
	for w := range c.watches {
		w.events <- frameOf("ERROR", expired())
		w.end()
		delete(c.watches, w)
	}
}

// slice is an EndpointSlice as it is now. c.mu is held.
func (c *Cluster) slice(service int) *discoveryv1.EndpointSlice {
	out := scene.Slice(c.number, service, c.services[service])
	out.TypeMeta = metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	out.ResourceVersion = text(c.versions[service])
	out.Annotations[corev1.EndpointsLastChangeTriggerTime] = c.changed[service].UTC().Format(time.RFC3339Nano)
	return out
}

// wholePods is the resource pods where it is asked for as a whole, and not only for the metadata.
const wholePods = "pods as a whole"

// objects are all of a resource. c.mu is held.
func (c *Cluster) objects(resource string) (each []runtime.Object, list func() runtime.Object) {
	meta := metav1.ListMeta{ResourceVersion: text(c.version)}
	switch resource {
	case "services":
		all := &corev1.ServiceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceList"}, ListMeta: meta}
		for i := range c.services {
			service := scene.Service(c.number, i)
			service.TypeMeta, service.ResourceVersion = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, "800"
			each = append(each, service)
		}
		return each, filled(all, &all.Items, each)
	case "endpointslices":
		all := &discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"}, ListMeta: meta}
		for i := range c.services {
			each = append(each, c.slice(i))
		}
		return each, filled(all, &all.Items, each)
	case wholePods:
		all := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, ListMeta: meta}
		for i, generations := range c.services {
			for pod, generation := range generations {
				o := scene.WholePod(c.number, i, pod, generation)
				o.ResourceVersion = "850"
				each = append(each, o)
			}
		}
		return each, filled(all, &all.Items, each)
	}
	all := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}, ListMeta: meta}
	for i, generations := range c.services {
		for pod, generation := range generations {
			o := scene.Pod(c.number, i, pod, generation)
			o.ResourceVersion = "850"
			each = append(each, o)
		}
	}
	return each, filled(all, &all.Items, each)
}

// filled is a list once its items have been put into it.
func filled[T any](list runtime.Object, items *[]T, each []runtime.Object) func() runtime.Object {
	return func() runtime.Object {
		for _, o := range each {
			*items = append(*items, *any(o).(*T))
		}
		return list
	}
}

func (c *Cluster) system() *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: types.UID(scene.ClusterName(c.number)), ResourceVersion: "1"},
	}
}
