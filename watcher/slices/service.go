package slices

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podway/podway/api/pods"
)

// Service is what podway needs of a Service of a cluster.
func Service(cluster string, service *corev1.Service) *pods.Service {
	out := &pods.Service{
		Key:          pods.ServiceKey{Cluster: cluster, Namespace: service.Namespace, Name: service.Name},
		Selector:     service.Spec.Selector,
		ExternalName: service.Spec.Type == corev1.ServiceTypeExternalName,
		IPv6:         len(service.Spec.IPFamilies) > 0 && service.Spec.IPFamilies[0] == corev1.IPv6Protocol,
	}
	for _, port := range service.Spec.Ports {
		p := pods.ServicePort{Name: port.Name, Port: port.Port, Protocol: string(port.Protocol)}
		if p.Protocol == "" {
			p.Protocol = string(corev1.ProtocolTCP)
		}
		if port.AppProtocol != nil {
			p.AppProtocol = *port.AppProtocol
		}
		out.Ports = append(out.Ports, p)
	}
	return out
}

// EqualServices says whether two Services have the same content.
func EqualServices(a, b *pods.Service) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Key == b.Key && a.ExternalName == b.ExternalName && a.IPv6 == b.IPv6 &&
		slices.Equal(a.Ports, b.Ports) && maps.Equal(a.Selector, b.Selector)
}

// EqualSets says whether two sets have the same content.
func EqualSets(a, b *pods.Set) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Key == b.Key && a.Unlabeled == b.Unlabeled && slices.EqualFunc(a.Pods, b.Pods, equalPods)
}

func equalPods(a, b pods.Pod) bool {
	return a.Address == b.Address && a.Name == b.Name && a.Namespace == b.Namespace && a.UID == b.UID &&
		a.Ready == b.Ready && a.Serving == b.Serving && a.Terminating == b.Terminating &&
		a.Node == b.Node && a.Zone == b.Zone &&
		slices.Equal(a.Ports, b.Ports) && maps.Equal(a.Labels, b.Labels) && (a.Labels == nil) == (b.Labels == nil)
}
