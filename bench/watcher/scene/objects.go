package scene

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Namespace that everything is in.
const Namespace = "shop"

// Made is when all objects were made, by their timestamps.
var Made = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)

// Size is how much there is.
type Size struct {
	// Clusters, the Services of each, and the Pods of each Service.
	Clusters, Services, Pods int
	// Selectors has every tunnel take its Pods by their labels: those of all Pods have to be known.
	Selectors bool `json:",omitempty"`
}

// ClusterName is the name of a MemberCluster.
func ClusterName(cluster int) string { return fmt.Sprintf("cluster-%d", cluster) }

// ServiceName is the name of a Service, the same in each cluster.
func ServiceName(service int) string { return fmt.Sprintf("checkout-%04d", service) }

// hash is a few characters as Kubernetes puts at the end of names.
func hash(length int, of ...int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	state := uint64(14695981039346656037)
	for _, n := range of {
		state = (state ^ uint64(n+1)) * 1099511628211
	}
	out := make([]byte, length)
	for i := range out {
		out[i] = letters[state>>33%uint64(len(letters))]
		state = state*6364136223846793005 + 1442695040888963407
	}
	return string(out)
}

func uid(of ...int) types.UID {
	var b [16]byte
	state := uint64(14695981039346656037)
	for _, n := range of {
		state = (state ^ uint64(n+7)) * 1099511628211
	}
	binary.BigEndian.PutUint64(b[:], state)
	binary.BigEndian.PutUint64(b[8:], state*6364136223846793005)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // RFC 9562, version 4
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// Address of a Pod. Each generation of a Pod has another one: it is what tells them apart. Generations are 0 to 15.
func Address(cluster, service, pod, generation int) netip.Addr {
	n := uint32(10)<<24 | uint32(cluster&15)<<20 | uint32(generation&15)<<16
	n += uint32(service*17+pod) & 0xffff
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func labels(service int) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": ServiceName(service), "app.kubernetes.io/part-of": "shop", "app.kubernetes.io/managed-by": "Helm",
		"app.kubernetes.io/version": "2.14.3", "helm.sh/chart": "checkout-1.7.0",
	}
}

func managed(manager, fields string) []metav1.ManagedFieldsEntry {
	at := metav1.NewTime(Made)
	return []metav1.ManagedFieldsEntry{{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(fields),
	}}
}

const serviceFields = `{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{},"f:meta.helm.sh/release-namespace":{}},"f:labels":{".":{},` +
	`"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/part-of":{},"f:app.kubernetes.io/version":{},"f:helm.sh/chart":{}}},` +
	`"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":8000,\"protocol\":\"TCP\"}":{".":{},"f:appProtocol":{},"f:name":{},"f:port":{},` +
	`"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}`

// Service is a Service as Helm makes it.
func Service(cluster, service int) *corev1.Service {
	http, single, internal := "http", corev1.IPFamilyPolicySingleStack, corev1.ServiceInternalTrafficPolicyCluster
	address := Address(cluster, service, 0, 15).String()
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: ServiceName(service), Namespace: Namespace, UID: uid(cluster, service), CreationTimestamp: metav1.NewTime(Made), Labels: labels(service),
			Annotations:   map[string]string{"meta.helm.sh/release-name": ServiceName(service), "meta.helm.sh/release-namespace": Namespace},
			ManagedFields: managed("helm", serviceFields),
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: address, ClusterIPs: []string{address}, SessionAffinity: corev1.ServiceAffinityNone,
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: &single, InternalTrafficPolicy: &internal,
			Selector: map[string]string{"app.kubernetes.io/name": ServiceName(service)},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 8000, Protocol: corev1.ProtocolTCP, AppProtocol: &http, TargetPort: intstr.FromString("web")}},
		},
	}
}

const sliceFields = `{"f:addressType":{},"f:endpoints":{},"f:metadata":{"f:annotations":{".":{},"f:endpoints.kubernetes.io/last-change-trigger-time":{}},` +
	`"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/part-of":{},` +
	`"f:app.kubernetes.io/version":{},"f:endpointslice.kubernetes.io/managed-by":{},"f:helm.sh/chart":{},"f:kubernetes.io/service-name":{}},"f:ownerReferences":{".":{},` +
	`"k:{\"uid\":\"%s\"}":{}}},"f:ports":{}}`

// Slice is the EndpointSlice of a Service as the endpointslice controller makes it; generations says which generation each of its Pods is of.
func Slice(cluster, service int, generations []int) *discoveryv1.EndpointSlice {
	yes, name, port, tcp, appProtocol := true, "http", int32(8080), corev1.ProtocolTCP, "http"
	of := uid(cluster, service)
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: SliceName(cluster, service), GenerateName: ServiceName(service) + "-", Namespace: Namespace,
			UID: uid(cluster, service, 1), Generation: 3, CreationTimestamp: metav1.NewTime(Made), Labels: labels(service),
			Annotations:     map[string]string{corev1.EndpointsLastChangeTriggerTime: Made.Format(time.RFC3339)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: ServiceName(service), UID: of, Controller: &yes, BlockOwnerDeletion: &yes}},
			ManagedFields:   managed("kube-controller-manager", fmt.Sprintf(sliceFields, of)),
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &tcp, AppProtocol: &appProtocol}},
	}
	slice.Labels[discoveryv1.LabelManagedBy] = "endpointslice-controller.k8s.io"
	slice.Labels[discoveryv1.LabelServiceName] = ServiceName(service)
	for pod, generation := range generations {
		slice.Endpoints = append(slice.Endpoints, endpoint(cluster, service, pod, generation))
	}
	return slice
}

// SliceName is the name of the EndpointSlice of a Service.
func SliceName(cluster, service int) string {
	return ServiceName(service) + "-" + hash(5, cluster, service)
}

func endpoint(cluster, service, pod, generation int) discoveryv1.Endpoint {
	ready, serving, terminating := true, true, false
	rack := (service + pod) % 40
	node := fmt.Sprintf("ip-10-%d-%d-%d.eu-west-1.compute.internal", cluster, rack, pod*7)
	zone := "eu-west-1" + string(rune('a'+rack%3)) // a node is in one
	return discoveryv1.Endpoint{
		Addresses:  []string{Address(cluster, service, pod, generation).String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		NodeName:   &node, Zone: &zone,
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: Namespace, Name: PodName(cluster, service, pod, generation), UID: uid(cluster, service, pod, generation)},
	}
}

// PodName is the name of a Pod as a ReplicaSet makes it.
func PodName(cluster, service, pod, generation int) string {
	return ServiceName(service) + "-" + hash(10, cluster, service) + "-" + hash(5, cluster, service, pod, generation)
}

const podFields = `{"f:metadata":{"f:annotations":{".":{},"f:checksum/config":{},"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/name":{},` +
	`"f:app.kubernetes.io/part-of":{},"f:pod-template-hash":{},"f:version":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"%s\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},` +
	`"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}},` +
	`"f:readinessProbe":{},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{}}}`

// Pod is the metadata of a Pod of a Deployment.
func Pod(cluster, service, pod, generation int) *metav1.PartialObjectMetadata {
	yes := true
	set := uid(cluster, service, 2)
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
		ObjectMeta: metav1.ObjectMeta{
			Name: PodName(cluster, service, pod, generation), GenerateName: ServiceName(service) + "-" + hash(10, cluster, service) + "-", Namespace: Namespace,
			UID: uid(cluster, service, pod, generation), CreationTimestamp: metav1.NewTime(Made),
			Labels: map[string]string{
				"app.kubernetes.io/name": ServiceName(service), "app.kubernetes.io/part-of": "shop", "pod-template-hash": hash(10, cluster, service), "version": "v2",
			},
			Annotations: map[string]string{"checksum/config": hash(64, cluster, service), "prometheus.io/scrape": "true"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: ServiceName(service) + "-" + hash(10, cluster, service), UID: set, Controller: &yes, BlockOwnerDeletion: &yes,
			}},
			ManagedFields: append(managed("kube-controller-manager", fmt.Sprintf(podFields, set)), managed("kubelet", kubeletFields)...),
		},
	}
}

const kubeletFields = `{"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},` +
	`"k:{\"type\":\"Initialized\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},` +
	`"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"10.0.0.1\"}":{".":{},"f:ip":{}}},` +
	`"f:startTime":{}}}`
