package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// MemberCluster is a Kubernetes cluster whose Pods tunnels may use.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=podway
type MemberCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec MemberClusterSpec `json:"spec"`
}

// MemberClusterList is a list of MemberClusters.
//
// +kubebuilder:object:root=true
type MemberClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MemberCluster `json:"items"`
}

// MemberClusterSpec says how a cluster is reached, and by whom.
type MemberClusterSpec struct {
	// Network that the cluster's Pods are reachable on; see the tunnel's.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Network string `json:"network,omitempty"`
	// Source of the cluster's Services and Pods.
	Source ClusterSource `json:"source"`
	// ClusterUID is the UID of the cluster's kube-system namespace. Another cluster behind the same credential is refused.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	ClusterUID string `json:"clusterUID,omitempty"`
	// TrafficPolicy Drained takes all Pods of this cluster out of all tunnels; default Active.
	// +kubebuilder:default=Active
	// +optional
	TrafficPolicy TrafficPolicy `json:"trafficPolicy,omitempty"`
	// AllowedTunnels says which tunnels may use which of the cluster's namespaces, 0 to 256 entries. Nothing is allowed without it.
	// +kubebuilder:validation:MaxItems=256
	// +optional
	AllowedTunnels []AllowedTunnels `json:"allowedTunnels,omitempty"`
	// Brake says when Pods of this cluster that lost readiness without being deleted stay in a tunnel.
	// +optional
	Brake *Brake `json:"brake,omitempty"`
}

// Brake keeps Pods in a tunnel where more than a share of its Pods in one cluster lose readiness within 10 s without being deleted: that is
// rather a broken probe or a lost node than Pods that cannot serve. Fields that are not set are as the flags of podway serve say.
type Brake struct {
	// Percent of the tunnel's Pods in the cluster: when more than these lose readiness, they stay. 1 to 100; 100 switches the brake off.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Percent *int32 `json:"percent,omitempty"`
	// MinPods is the least number of Pods that must have lost readiness, 1 to 100000.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	// +optional
	MinPods *int32 `json:"minPods,omitempty"`
	// Limit after which Pods that are still not ready leave the tunnel all the same, more than 0 and at most 24h.
	// +optional
	Limit *gatewayv1.Duration `json:"limit,omitempty"`
}

// ClusterSource is where a cluster's objects come from.
type ClusterSource struct {
	// Type of the source; the field of the same name must be set, and no other.
	Type ClusterSourceType `json:"type"`
	// Kubeconfig is for type Kubeconfig.
	// +optional
	Kubeconfig *KubeconfigSource `json:"kubeconfig,omitempty"`
	// Objects is for type Objects.
	// +optional
	Objects *ObjectsSource `json:"objects,omitempty"`
}

// ClusterSourceType is a kind of source.
// +kubebuilder:validation:Enum=Kubeconfig;Objects
type ClusterSourceType string

// The kinds of sources.
const (
	// ClusterSourceKubeconfig is an API server.
	ClusterSourceKubeconfig ClusterSourceType = "Kubeconfig"
	// ClusterSourceObjects is a directory of YAML.
	ClusterSourceObjects ClusterSourceType = "Objects"
)

// KubeconfigSource is a kubeconfig: exactly one of file and secretRef.
type KubeconfigSource struct {
	// File is a path, relative to the configuration directory; only where the configuration is files.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	File string `json:"file,omitempty"`
	// SecretRef is a key of a Secret.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
}

// SecretKeyReference is a key of a Secret.
type SecretKeyReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Key in the Secret's data; default kubeconfig.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Key string `json:"key,omitempty"`
}

// ObjectsSource is a directory of Service, EndpointSlice and Pod YAML.
type ObjectsSource struct {
	// Directory is relative to the configuration directory and below it. It is read for this cluster only.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Directory string `json:"directory"`
}

// TrafficPolicy says whether a cluster takes traffic.
// +kubebuilder:validation:Enum=Active;Drained
type TrafficPolicy string

// The policies.
const (
	TrafficPolicyActive  TrafficPolicy = "Active"
	TrafficPolicyDrained TrafficPolicy = "Drained"
)

// AllowedTunnels lets tunnels of some namespaces use Services of some namespaces.
type AllowedTunnels struct {
	// From are namespaces of tunnels, 1 to 64; "*" is all.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	From []string `json:"from"`
	// To are namespaces of this cluster, 1 to 64; "*" is all.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	To []string `json:"to"`
}
