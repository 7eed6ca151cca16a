package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GatewayParameters is what a Gateway needs beyond Gateway API. A Gateway
// names it in infrastructure.parametersRef, in its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=podway
type GatewayParameters struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec GatewayParametersSpec `json:"spec"`
}

// GatewayParametersList is a list of GatewayParameters.
//
// +kubebuilder:object:root=true
type GatewayParametersList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GatewayParameters `json:"items"`
}

// GatewayParametersSpec is what a Gateway needs beyond Gateway API.
type GatewayParametersSpec struct {
	// Network that the Gateway's Envoys are in; see the tunnel's.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Network string `json:"network,omitempty"`
	// ListenAddress that the Envoys bind to, an IPv4 or IPv6 address; default 0.0.0.0.
	// +kubebuilder:validation:MaxLength=45
	// +optional
	ListenAddress string `json:"listenAddress,omitempty"`
	// AccessLog of all requests; by default JSON to Envoy's standard output.
	// +optional
	AccessLog *AccessLog `json:"accessLog,omitempty"`
	// TrustedProxyHops is how many proxies in front of the Envoys are trusted to have appended to X-Forwarded-For, 0 to 32, default 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	// +optional
	TrustedProxyHops int32 `json:"trustedProxyHops,omitempty"`
	// ProxyProtocol: connections begin with a PROXY protocol header, version 1 or 2. Without one they are refused.
	// +optional
	ProxyProtocol bool `json:"proxyProtocol,omitempty"`
	// PodHeader is the name of a response header that names the Pod that answered, as CLUSTER/NAMESPACE/POD, such as x-podway-pod. Off by default:
	// it tells clients about the inside.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	PodHeader string `json:"podHeader,omitempty"`
}

// AccessLog says where a line for each request goes.
type AccessLog struct {
	// Disabled turns the access log off.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
	// Path of the file, as the Envoys see it; default /dev/stdout.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Path string `json:"path,omitempty"`
	// Format of a line; default JSON.
	// +kubebuilder:validation:Enum=JSON;Text
	// +optional
	Format AccessLogFormat `json:"format,omitempty"`
}

// AccessLogFormat is a format of the access log.
type AccessLogFormat string

// The formats.
const (
	AccessLogJSON AccessLogFormat = "JSON"
	AccessLogText AccessLogFormat = "Text"
)
