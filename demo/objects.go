package demo

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// portName joins the Service's port with those of its slices and Pods.
const portName = "http"

// list is what `kubectl get service,endpointslice,pod -o yaml` prints.
type list struct {
	metav1.TypeMeta `json:",inline"`
	Items           []any `json:"items"`
}

// yaml is the Service with all that belongs to it. Call it with the cluster's mu.
func (s *Service) yaml() ([]byte, error) {
	all := list{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, Items: []any{s.service()}}
	for _, slice := range s.slices() {
		all.Items = append(all.Items, slice)
	}
	for _, pod := range s.pods {
		all.Items = append(all.Items, s.pod(pod))
	}
	out, err := yaml.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("writing the objects of Service %s: %w", s.cfg.Name, err)
	}
	return out, nil
}

func (s *Service) meta(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.cfg.Namespace, Name: name, Labels: labels, UID: uid(s.cluster.cfg.Name, s.cfg.Namespace, name)}
}

// uid looks like one and is the same for the same object.
func uid(parts ...string) types.UID {
	var sum uint64 = 14695981039346656037 // FNV-1a
	for _, part := range parts {
		for _, b := range []byte(part + "/") {
			sum = (sum ^ uint64(b)) * 1099511628211
		}
	}
	return types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012x", sum>>32, sum&0xffffffffffff))
}

func (s *Service) service() *corev1.Service {
	port := corev1.ServicePort{Name: portName, Port: s.cfg.Port, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString(portName)}
	if s.cfg.AppProtocol != "" {
		port.AppProtocol = &s.cfg.AppProtocol
	}
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: s.meta(s.cfg.Name, map[string]string{"app": s.cfg.Name, "service": s.cfg.Name}),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": s.cfg.Name}, Ports: []corev1.ServicePort{port},
		},
	}
}

// slices returns one EndpointSlice for each port number, as Kubernetes makes them.
func (s *Service) slices() []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	pods := slices.SortedStableFunc(slices.Values(s.pods), func(a, b *Pod) int {
		return cmp.Compare(a.Address().Port(), b.Address().Port())
	})
	for i, pod := range pods {
		number := int32(pod.Address().Port())
		if i == 0 || number != int32(pods[i-1].Address().Port()) {
			out = append(out, s.slice(number))
		}
		last := out[len(out)-1]
		last.Endpoints = append(last.Endpoints, s.endpoint(pod))
	}
	return out
}

func (s *Service) slice(port int32) *discoveryv1.EndpointSlice {
	name, protocol := portName, corev1.ProtocolTCP
	slice := &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta: s.meta(fmt.Sprintf("%s-%d", s.cfg.Name, port), map[string]string{
			discoveryv1.LabelServiceName: s.cfg.Name,
			discoveryv1.LabelManagedBy:   "endpointslice-controller.k8s.io",
		}),
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}
	if s.cfg.AppProtocol != "" {
		slice.Ports[0].AppProtocol = &s.cfg.AppProtocol
	}
	return slice
}

func (s *Service) endpoint(pod *Pod) discoveryv1.Endpoint {
	ready, serving, terminating := !pod.notReady && !pod.terminating, !pod.notReady, pod.terminating
	return discoveryv1.Endpoint{
		Addresses:  []string{pod.Address().Addr().String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		TargetRef: &corev1.ObjectReference{
			Kind: "Pod", Namespace: s.cfg.Namespace, Name: pod.Name, UID: uid(s.cluster.cfg.Name, s.cfg.Namespace, pod.Name),
		},
	}
}

func (s *Service) pod(pod *Pod) *corev1.Pod {
	status := corev1.ConditionTrue
	if pod.notReady {
		status = corev1.ConditionFalse
	}
	address := pod.Address()
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: s.meta(pod.Name, map[string]string{"app": s.cfg.Name, "version": pod.Version()}),
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: s.cfg.Name, Image: s.cfg.Name + ":" + pod.Version(),
			Ports: []corev1.ContainerPort{{Name: portName, ContainerPort: int32(address.Port()), Protocol: corev1.ProtocolTCP}},
		}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: address.Addr().String(), PodIPs: []corev1.PodIP{{IP: address.Addr().String()}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
		},
	}
}
