package slices

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podway/podway/api/pods"
)

// Service is what podway needs of a Service of a cluster. It shares strings that repeat, and keeps no part of what it is made of.
func Service(cluster string, service *corev1.Service) *pods.Service {
	out := &pods.Service{
		Key:          pods.ServiceKey{Cluster: cluster, Namespace: shared(service.Namespace), Name: shared(service.Name)},
		Selector:     pods.LabelsOf(service.Spec.Selector),
		ExternalName: service.Spec.Type == corev1.ServiceTypeExternalName,
		IPv6:         len(service.Spec.IPFamilies) > 0 && service.Spec.IPFamilies[0] == corev1.IPv6Protocol,
	}
	for i := range out.Selector {
		label := &out.Selector[i]
		label.Name, label.Value = shared(label.Name), shared(label.Value)
	}
	if len(service.Spec.Ports) > 0 {
		out.Ports = make([]pods.ServicePort, len(service.Spec.Ports))
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		out.Ports[i] = pods.ServicePort{
			Name: shared(port.Name), Port: port.Port, Protocol: cmp.Or(shared(string(port.Protocol)), string(corev1.ProtocolTCP)),
			AppProtocol: shared(value(port.AppProtocol)),
		}
	}
	return out
}

// EqualServices says whether two Services have the same content.
func EqualServices(a, b *pods.Service) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Key == b.Key && a.ExternalName == b.ExternalName && a.IPv6 == b.IPv6 &&
		slices.Equal(a.Ports, b.Ports) && slices.Equal(a.Selector, b.Selector)
}

// EqualSets says whether two sets have the same content.
func EqualSets(a, b *pods.Set) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Key == b.Key && a.Unlabeled == b.Unlabeled && slices.EqualFunc(a.Pods, b.Pods, equalPods)
}

func equalPods(a, b pods.Pod) bool {
	return a.Address == b.Address && a.UID == b.UID && a.Place == b.Place && a.CompareName(&b) == 0 &&
		a.Ready == b.Ready && a.Serving == b.Serving && a.Terminating == b.Terminating &&
		a.Group.Equal(b.Group)
}
