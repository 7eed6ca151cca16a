package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Tunnel joins the Pods of Services in several clusters, and plain addresses,
// into one weighted backend. An HTTPRoute names it as a backendRef of group
// podway.dev and kind Tunnel. Its labels are its tags.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=podway
type Tunnel struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec TunnelSpec `json:"spec"`
}

// TunnelList is a list of Tunnels.
//
// +kubebuilder:object:root=true
type TunnelList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Tunnel `json:"items"`
}

// TunnelSpec says where a tunnel's requests go, and how.
type TunnelSpec struct {
	// Network that the Pods are reachable on. Where it is set, it must equal the network of each
	// Gateway that uses the tunnel and of each MemberCluster that the tunnel uses.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Network string `json:"network,omitempty"`

	// Services whose Pods take the requests, 0 to 20. A Service may come twice with different selectors.
	// A tunnel has at least one of services and addresses.
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Services []TunnelService `json:"services,omitempty"`

	// Addresses that take requests beside the Pods, 0 to 200.
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Addresses []TunnelAddress `json:"addresses,omitempty"`

	// Protocol toward the Pods. Without it, it is read off the appProtocol of the Services' ports
	// (kubernetes.io/h2c: HTTP2; grpc: GRPC; http, https or none: HTTP), which must agree.
	// +optional
	Protocol Protocol `json:"protocol,omitempty"`

	// TLS toward the Pods: used if and only if this is present.
	// +optional
	TLS *TunnelTLS `json:"tls,omitempty"`

	// HostHeader is the Host that the Pods receive. Without it, the client's Host passes.
	// A hostname of an HTTPRoute's URLRewrite filter wins over it.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	HostHeader string `json:"hostHeader,omitempty"`

	// Retry of requests that failed, each time on another Pod where there is one.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// Timeout toward the Pods.
	// +optional
	Timeout *Timeout `json:"timeout,omitempty"`

	// CircuitBreaker limits what one Envoy has under way in this tunnel.
	// +optional
	CircuitBreaker *CircuitBreaker `json:"circuitBreaker,omitempty"`

	// LoadBalancer chooses a Pod for each request. By default it keeps the shares that the weights
	// say, also while Pods come and go: WeightedRoundRobin where all weights in the spec are equal,
	// WeightedRandom otherwise.
	// +optional
	LoadBalancer *LoadBalancer `json:"loadBalancer,omitempty"`

	// HealthCheck by the Envoys themselves, in addition to the Pods' readiness.
	// +optional
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`
}

// TunnelService is one Service of a member cluster, and the weight of each of its Pods.
type TunnelService struct {
	// Cluster is the name of a MemberCluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Cluster string `json:"cluster"`
	// Namespace of the Service in that cluster.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// Name of the Service.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Port of the Service, by number (1 to 65535) or by name. Not the Pod's port.
	// +kubebuilder:validation:XIntOrString
	Port intstr.IntOrString `json:"port"`
	// PodWeight of EACH Pod, 0 to 100; 0 takes no traffic.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=100
	// +optional
	PodWeight *int32 `json:"podWeight,omitempty"`
	// PodSelector narrows the Service's Pods down further, by their labels. It is ANDed with the Service's own selector.
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`
}

// TunnelAddress is a plain address beside the Pods.
type TunnelAddress struct {
	// Address is an IPv4 or IPv6 address, no DNS name.
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// Port is 1 to 65535.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// Weight is 0 to 100; 0 takes no traffic.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +kubebuilder:default=100
	// +optional
	Weight *int32 `json:"weight,omitempty"`
}

// Protocol that the Pods speak.
// +kubebuilder:validation:Enum=HTTP;HTTP2;GRPC
type Protocol string

// The protocols.
const (
	// ProtocolHTTP is HTTP/1.1.
	ProtocolHTTP Protocol = "HTTP"
	// ProtocolHTTP2 is HTTP/2, with prior knowledge where there is no TLS.
	ProtocolHTTP2 Protocol = "HTTP2"
	// ProtocolGRPC is gRPC over HTTP/2: like HTTP2, with retries and health checks that know gRPC's status.
	ProtocolGRPC Protocol = "GRPC"
)

// TunnelTLS says how Envoy speaks TLS to the Pods and whom it trusts. Exactly
// one of caCertificateRefs, wellKnownCACertificates and insecureSkipVerify says what is verified.
type TunnelTLS struct {
	// Hostname is the SNI, and the name that the Pods' certificate must have unless subjectAltNames are given.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Hostname string `json:"hostname,omitempty"`
	// SubjectAltNames, of which the certificate must have one, 0 to 5, instead of the hostname.
	// +kubebuilder:validation:MaxItems=5
	// +optional
	SubjectAltNames []SubjectAltName `json:"subjectAltNames,omitempty"`
	// CACertificateRefs name ConfigMaps (key ca.crt) or Secrets (key ca.crt) with PEM certificates of the trusted authorities, 0 to 8.
	// In another namespace than the tunnel's, a ReferenceGrant must allow it.
	// +kubebuilder:validation:MaxItems=8
	// +optional
	CACertificateRefs []ObjectReference `json:"caCertificateRefs,omitempty"`
	// WellKnownCACertificates System trusts the authorities of the system that Envoy runs on.
	// +kubebuilder:validation:Enum=System
	// +optional
	WellKnownCACertificates WellKnownCACertificates `json:"wellKnownCACertificates,omitempty"`
	// ClientCertificateRef names a Secret of type kubernetes.io/tls that Envoy presents to the Pods.
	// +optional
	ClientCertificateRef *ObjectReference `json:"clientCertificateRef,omitempty"`
	// InsecureSkipVerify turns verification off: anybody who can answer at a Pod's address is believed.
	// +optional
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
}

// WellKnownCACertificates names a set of authorities.
type WellKnownCACertificates string

// WellKnownCACertificatesSystem is the set of the system that Envoy runs on.
const WellKnownCACertificatesSystem WellKnownCACertificates = "System"

// SubjectAltName is a name that a certificate must have.
type SubjectAltName struct {
	// Type of the name.
	Type SubjectAltNameType `json:"type"`
	// Value that must be equal; a DNS name matches a wildcard certificate.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Value string `json:"value"`
}

// SubjectAltNameType is the type of a name in a certificate.
// +kubebuilder:validation:Enum=DNS;URI
type SubjectAltNameType string

// The types of names.
const (
	SubjectAltNameDNS SubjectAltNameType = "DNS"
	SubjectAltNameURI SubjectAltNameType = "URI"
)

// ObjectReference names a ConfigMap or Secret.
type ObjectReference struct {
	// Kind is ConfigMap or Secret; the default is the one that the field usually names: ConfigMap for authorities, Secret for certificates.
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	// +optional
	Kind string `json:"kind,omitempty"`
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Namespace of the object; default: the tunnel's.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// Retry says what is tried again.
type Retry struct {
	// Attempts is the number of retries after the first try, 0 to 10; 0 turns retries off.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	// +kubebuilder:default=3
	// +optional
	Attempts *int32 `json:"attempts,omitempty"`
	// On what to retry. The default is what is safe to repeat for every request, because no Pod has begun to process it:
	// ConnectFailure, RefusedStream, ResetBeforeRequest; with protocol GRPC also GRPCUnavailable.
	// +kubebuilder:validation:MaxItems=16
	// +optional
	On []RetryOn `json:"on,omitempty"`
	// PerTryTimeout bounds one try, more than 0; without it, only the route's timeout does.
	// +optional
	PerTryTimeout *gatewayv1.Duration `json:"perTryTimeout,omitempty"`
}

// RetryOn is a reason for a retry.
// +kubebuilder:validation:Enum=ConnectFailure;RefusedStream;ResetBeforeRequest;Reset;GatewayError;ServerError;Retriable4xx;GRPCUnavailable;GRPCCancelled;GRPCDeadlineExceeded;GRPCResourceExhausted;GRPCInternal
type RetryOn string

// The reasons for a retry, as in Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on.
const (
	RetryOnConnectFailure        RetryOn = "ConnectFailure"
	RetryOnRefusedStream         RetryOn = "RefusedStream"
	RetryOnResetBeforeRequest    RetryOn = "ResetBeforeRequest"
	RetryOnReset                 RetryOn = "Reset"
	RetryOnGatewayError          RetryOn = "GatewayError"
	RetryOnServerError           RetryOn = "ServerError"
	RetryOnRetriable4xx          RetryOn = "Retriable4xx"
	RetryOnGRPCUnavailable       RetryOn = "GRPCUnavailable"
	RetryOnGRPCCancelled         RetryOn = "GRPCCancelled"
	RetryOnGRPCDeadlineExceeded  RetryOn = "GRPCDeadlineExceeded"
	RetryOnGRPCResourceExhausted RetryOn = "GRPCResourceExhausted"
	RetryOnGRPCInternal          RetryOn = "GRPCInternal"
)

// Timeout toward the Pods.
type Timeout struct {
	// Connect bounds the making of a connection, TLS included; more than 0, default 1s.
	// +optional
	Connect *gatewayv1.Duration `json:"connect,omitempty"`
	// Idle bounds how long a stream may be silent in both directions; default 5m, 0s: not bounded.
	// +optional
	Idle *gatewayv1.Duration `json:"idle,omitempty"`
	// ConnectionIdle bounds how long a connection to a Pod is kept without a request; default 1h, 0s: not bounded.
	// Set it below the keep-alive timeout of the Pods' servers.
	// +optional
	ConnectionIdle *gatewayv1.Duration `json:"connectionIdle,omitempty"`
}

// CircuitBreaker limits what one Envoy has under way in one tunnel. What is over a limit is answered 503. Each is 1 to 4294967295.
type CircuitBreaker struct {
	// MaxConnections to all Pods together; default: not limited.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	// +optional
	MaxConnections *int64 `json:"maxConnections,omitempty"`
	// MaxPendingRequests that wait for a connection; default: not limited.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	// +optional
	MaxPendingRequests *int64 `json:"maxPendingRequests,omitempty"`
	// MaxParallelRequests; default: not limited.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	// +optional
	MaxParallelRequests *int64 `json:"maxParallelRequests,omitempty"`
	// MaxParallelRetries; default 1024.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	// +optional
	MaxParallelRetries *int64 `json:"maxParallelRetries,omitempty"`
}

// LoadBalancer chooses a Pod for each request.
type LoadBalancer struct {
	// Type of the load balancer.
	// +optional
	Type LoadBalancerType `json:"type,omitempty"`
	// ConsistentHash says what is hashed; required with type ConsistentHash, and for no other.
	// +optional
	ConsistentHash *ConsistentHash `json:"consistentHash,omitempty"`
	// SlowStart gives a new Pod its share gradually; for WeightedRoundRobin and LeastRequest.
	// +optional
	SlowStart *SlowStart `json:"slowStart,omitempty"`
}

// LoadBalancerType is a way to choose.
// +kubebuilder:validation:Enum=WeightedRoundRobin;WeightedRandom;LeastRequest;ConsistentHash
type LoadBalancerType string

// The types.
const (
	// WeightedRoundRobin keeps shares exactly while the Pods stay, but starves light Pods while Pods come and go.
	WeightedRoundRobin LoadBalancerType = "WeightedRoundRobin"
	// WeightedRandom keeps shares also while Pods come and go.
	WeightedRandom LoadBalancerType = "WeightedRandom"
	// LeastRequest prefers Pods with fewer requests under way; weights are kept only where all Pods are equally fast.
	LeastRequest LoadBalancerType = "LeastRequest"
	// ConsistentHashType sends requests with the same hash to the same Pod.
	ConsistentHashType LoadBalancerType = "ConsistentHash"
)

// ConsistentHash says what is hashed: exactly one of header, cookie, queryParameter and sourceIP.
type ConsistentHash struct {
	// Header whose value is hashed.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Header string `json:"header,omitempty"`
	// Cookie whose value is hashed; made where a client has none.
	// +optional
	Cookie *HashCookie `json:"cookie,omitempty"`
	// QueryParameter whose value is hashed.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	QueryParameter string `json:"queryParameter,omitempty"`
	// SourceIP hashes the client's address.
	// +optional
	SourceIP bool `json:"sourceIP,omitempty"`
}

// HashCookie is a cookie that keeps a client at one Pod.
type HashCookie struct {
	// Name of the cookie.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`
	// TTL of a cookie that Envoy makes; 0s: it ends with the browser's session. Without it, none is made.
	// +optional
	TTL *gatewayv1.Duration `json:"ttl,omitempty"`
	// Path of a cookie that Envoy makes; default /.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Path string `json:"path,omitempty"`
}

// SlowStart gives a new Pod its share gradually.
type SlowStart struct {
	// Window in which a Pod's share grows to its whole, more than 0.
	Window gatewayv1.Duration `json:"window"`
}

// HealthCheck by the Envoys.
type HealthCheck struct {
	// Active asks each Pod regularly.
	// +optional
	Active *ActiveHealthCheck `json:"active,omitempty"`
	// Passive watches the Pods' answers to real requests.
	// +optional
	Passive *PassiveHealthCheck `json:"passive,omitempty"`
}

// ActiveHealthCheck asks each Pod regularly. A new Pod takes no traffic before its first pass.
type ActiveHealthCheck struct {
	// Type of the check; default HTTP, or GRPC where the tunnel's protocol is that.
	// +kubebuilder:validation:Enum=HTTP;TCP;GRPC
	// +optional
	Type HealthCheckType `json:"type,omitempty"`
	// Path that is asked for, default /. For type HTTP.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Path string `json:"path,omitempty"`
	// Host of the request; default: the tunnel's hostHeader, else the tunnel's name. For types HTTP and GRPC.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Host string `json:"host,omitempty"`
	// ExpectedStatuses that pass, 100 to 599; default 200. For type HTTP.
	// +kubebuilder:validation:MaxItems=16
	// +optional
	ExpectedStatuses []StatusRange `json:"expectedStatuses,omitempty"`
	// Service is the name that is asked for, default "" (the whole server). For type GRPC.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Service string `json:"service,omitempty"`
	// Interval between checks, at least 100ms, default 5s.
	// +optional
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
	// Timeout of a check, more than 0, default 5s.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`
	// HealthyThreshold is how many passes in a row make an unhealthy Pod healthy, 1 to 100, default 1.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	HealthyThreshold *int32 `json:"healthyThreshold,omitempty"`
	// UnhealthyThreshold is how many failures in a row make a healthy Pod unhealthy, 1 to 100, default 3.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	UnhealthyThreshold *int32 `json:"unhealthyThreshold,omitempty"`
}

// HealthCheckType is a kind of check.
type HealthCheckType string

// The kinds of checks.
const (
	HealthCheckHTTP HealthCheckType = "HTTP"
	HealthCheckTCP  HealthCheckType = "TCP"
	HealthCheckGRPC HealthCheckType = "GRPC"
)

// StatusRange is a range of HTTP statuses, both ends included.
type StatusRange struct {
	// From is the first status, 100 to 599.
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	From int32 `json:"from"`
	// To is the last status, from to 599; default: from.
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	// +optional
	To *int32 `json:"to,omitempty"`
}

// PassiveHealthCheck takes a Pod out after errors in real requests.
type PassiveHealthCheck struct {
	// ConsecutiveErrors (5xx answers, resets, failed connections) in a row that take a Pod out, 1 to 1000, default 5.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	ConsecutiveErrors *int32 `json:"consecutiveErrors,omitempty"`
	// Interval at which Pods are looked at for their return, at least 100ms, default 1s.
	// +optional
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
	// EjectionTime after which a Pod returns, at least 1s, default 30s, each time.
	// +optional
	EjectionTime *gatewayv1.Duration `json:"ejectionTime,omitempty"`
	// MaxEjectionPercent of the tunnel's Pods that may be out at once, 1 to 100, default 50.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	MaxEjectionPercent *int32 `json:"maxEjectionPercent,omitempty"`
}
