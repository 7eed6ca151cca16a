package kubetest

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// NodeName is the node that every cluster has, and on which Pod puts Pods.
	NodeName = "node"
	// Zone is where that node is.
	Zone = "zone-a"
)

// The functions below make objects and send nothing. Change what they return as you like, then hand it to Create.

// Node is one in a zone.
func Node(name, zone string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}}}
}

// AppLabel is the label by which Service and Pod find each other.
const AppLabel = "app"

// Namespace is one of that name.
func Namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// Service selects the Pods that Pod makes with its name as the app.
func Service(namespace, name string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{AppLabel: name}, Ports: ports},
	}
}

// Port is a TCP port of a Service. The Pods' port is a number ("8080") or a name ("http").
func Port(name string, number int32, target string) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.Parse(target), Protocol: corev1.ProtocolTCP}
}

// Pod is one that runs and is ready, with that address; ports are named as in http:8080. Use Run to create it, status and all. Further
// addresses, as of a dual-stack Pod, go to Status.PodIPs.
func Pod(namespace, name, app, address string, ports ...corev1.ContainerPort) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{AppLabel: app}},
		// A Pod without a node would be gone the moment that it is deleted.
		Spec:   corev1.PodSpec{NodeName: NodeName, Containers: []corev1.Container{{Name: "app", Image: "app", Ports: ports}}},
		Status: runningStatus(address),
	}
}

// PodPort is a named TCP port of a Pod.
func PodPort(name string, number int32) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: number, Protocol: corev1.ProtocolTCP}
}

func runningStatus(address string) corev1.PodStatus {
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}, HostIP: "192.0.2.1",
		HostIPs: []corev1.HostIP{{IP: "192.0.2.1"}},
	}
	now := metav1.NewTime(time.Now())
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	return status
}

// Slice is an EndpointSlice as the controller would write it, for tests without controllers. Its addresses are of the family of the first
// endpoint, IPv4 without one.
func Slice(service *corev1.Service, name string, ports []discoveryv1.EndpointPort, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	family := discoveryv1.AddressTypeIPv4
	if len(endpoints) > 0 && strings.Contains(endpoints[0].Addresses[0], ":") {
		family = discoveryv1.AddressTypeIPv6
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: name,
			Labels: map[string]string{discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
			// The time of the change is in whole seconds in slices of real Pods, but need not be.
			Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: time.Now().UTC().Format(time.RFC3339Nano)},
		},
		AddressType: family, Ports: ports, Endpoints: endpoints,
	}
}

// SlicePort is a TCP port of an EndpointSlice: the Service port's name, the Pods' number.
func SlicePort(name string, number int32) discoveryv1.EndpointPort {
	protocol := corev1.ProtocolTCP
	return discoveryv1.EndpointPort{Name: &name, Port: &number, Protocol: &protocol}
}

// Endpoint is a ready one of a Pod in that namespace, whose UID is its name.
func Endpoint(namespace, pod, address string) discoveryv1.Endpoint {
	node, zone := NodeName, Zone
	e := discoveryv1.Endpoint{
		Addresses: []string{address}, NodeName: &node, Zone: &zone,
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod, UID: types.UID(pod)},
	}
	SetConditions(&e, true, true, false)
	return e
}

// SetConditions says what an endpoint is.
func SetConditions(e *discoveryv1.Endpoint, ready, serving, terminating bool) {
	e.Conditions = discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating}
}
