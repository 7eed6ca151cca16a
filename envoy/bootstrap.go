package envoy

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// XDSCluster is the name of the static cluster that reaches the control plane.
	XDSCluster = "podway-xds"

	// DefaultXDSAddress is where `podway serve` listens unless told otherwise.
	DefaultXDSAddress = "127.0.0.1:18000"
	// DefaultAdminAddress is Envoy's own admin interface. It can stop an Envoy and shows its configuration: keep it on loopback.
	DefaultAdminAddress = "127.0.0.1:9901"

	// DefaultMaxHeapBytes is 1 GiB.
	DefaultMaxHeapBytes = 1 << 30
	// DefaultMaxConnections is a limit on what one Envoy holds open towards its clients.
	DefaultMaxConnections = 50_000
)

// BootstrapConfig says what an Envoy is told on its command line. The zero
// value of each field but Gateway stands for its default.
type BootstrapConfig struct {
	// Gateway is the Gateway that the Envoy belongs to. It becomes node.cluster, as NAMESPACE/NAME.
	Gateway types.NamespacedName
	// NodeID tells the Envoys of one Gateway apart; by default, the name of the host that this runs on. Where one
	// bootstrap is shared by several Envoys, start each with --service-node, which wins over it.
	NodeID string
	// XDSAddress is HOST:PORT of the control plane, DefaultXDSAddress if empty. A host that is not an IP address is
	// resolved by Envoy, again and again.
	XDSAddress string
	// TLS is mutual TLS with the control plane; nil is plain text.
	TLS *XDSTLS
	// AdminAddress is IP:PORT, DefaultAdminAddress if empty. Port 0 lets the kernel choose one.
	AdminAddress string
	// MaxHeapBytes is the heap at which Envoy protects itself: from 95 % on it returns free memory to the system, from
	// 98 % on it answers new requests with 503. DefaultMaxHeapBytes if 0. Set it below the limit of the container.
	MaxHeapBytes uint64
	// MaxConnections is how many client connections are open at a time; further ones are closed at once.
	// DefaultMaxConnections if 0.
	MaxConnections uint32
}

// Bootstrap returns the configuration with which an Envoy asks podway for all
// the rest, over one delta ADS stream. It fails where an address, the Gateway's name or the host's name cannot be used.
func Bootstrap(cfg BootstrapConfig) (*bootstrapv3.Bootstrap, error) {
	b, err := base(cfg)
	if err != nil {
		return nil, err
	}
	xds, err := xdsCluster(cmp.Or(cfg.XDSAddress, DefaultXDSAddress), cfg.TLS)
	if err != nil {
		return nil, err
	}
	b.StaticResources = &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{xds}}
	b.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:                   corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion:       corev3.ApiVersion_V3,
			SetNodeOnFirstMessageOnly: true,
			GrpcServices: []*corev3.GrpcService{{
				TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
					ClusterName: XDSCluster,
					RetryPolicy: reconnect(),
				}},
			}},
		},
		CdsConfig: fromADS(),
		LdsConfig: fromADS(),
	}
	return b, nil
}

// base is what an Envoy has with and without a control plane.
func base(cfg BootstrapConfig) (*bootstrapv3.Bootstrap, error) {
	if cfg.Gateway.Namespace == "" || cfg.Gateway.Name == "" {
		return nil, fmt.Errorf("gateway %q: want NAMESPACE/NAME", cfg.Gateway)
	}
	id := cfg.NodeID
	if id == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("naming this node after its host: %w", err)
		}
		id = host
	}
	admin, err := netip.ParseAddrPort(cmp.Or(cfg.AdminAddress, DefaultAdminAddress))
	if err != nil {
		return nil, fmt.Errorf("admin address %q: want IP:PORT: %w", cfg.AdminAddress, err)
	}
	overload, err := overloadManager(cmp.Or(cfg.MaxHeapBytes, DefaultMaxHeapBytes), cmp.Or(cfg.MaxConnections, DefaultMaxConnections))
	if err != nil {
		return nil, err
	}
	return &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: id, Cluster: cfg.Gateway.String()},
		Admin: &bootstrapv3.Admin{
			Address: socketAddress(admin.Addr().String(), admin.Port()),
			// A person must be able to look at an Envoy that has reached its limit of connections.
			IgnoreGlobalConnLimit: true,
		},
		OverloadManager: overload,
		LayeredRuntime:  layeredRuntime(),
	}, nil
}

// xdsCluster reaches the control plane. A peer that has gone without a word
// is noticed by HTTP/2 keepalive after at most 20 s; podway's server must allow for a ping every 15 s.
func xdsCluster(address string, tls *XDSTLS) (*clusterv3.Cluster, error) {
	host, port, err := splitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("xDS address %q: %w", address, err)
	}
	discovery := clusterv3.Cluster_STRICT_DNS
	if _, err := netip.ParseAddr(host); err == nil {
		discovery = clusterv3.Cluster_STATIC
	}
	options, err := pack(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
						ConnectionKeepalive: &corev3.KeepaliveSettings{
							Interval: durationpb.New(15 * time.Second),
							Timeout:  durationpb.New(5 * time.Second),
						},
					},
				},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	var socket *corev3.TransportSocket
	if tls != nil {
		if socket, err = tls.transportSocket(host); err != nil {
			return nil, err
		}
	}
	return &clusterv3.Cluster{
		Name:                 XDSCluster,
		TransportSocket:      socket,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discovery},
		ConnectTimeout:       durationpb.New(time.Second),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: XDSCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
					Endpoint: &endpointv3.Endpoint{Address: socketAddress(host, port)},
				},
			}}}},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{httpOptions: options},
		UpstreamConnectionOptions: &clusterv3.UpstreamConnectionOptions{
			TcpKeepalive: &corev3.TcpKeepalive{
				KeepaliveProbes:   wrapperspb.UInt32(3),
				KeepaliveTime:     wrapperspb.UInt32(30),
				KeepaliveInterval: wrapperspb.UInt32(5),
			},
		},
	}, nil
}

// reconnect keeps an Envoy from being without its control plane for long once
// that is back: Envoy's own default is up to 30 s. Envoy adds jitter, so that a fleet does not come at once.
func reconnect() *corev3.RetryPolicy {
	return &corev3.RetryPolicy{RetryBackOff: &corev3.BackoffStrategy{
		BaseInterval: durationpb.New(100 * time.Millisecond),
		MaxInterval:  durationpb.New(5 * time.Second),
	}}
}

func fromADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func socketAddress(host string, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// splitHostPort is stricter than net.SplitHostPort: both parts must be there, and the port a number from 1 to 65535.
func splitHostPort(address string) (string, uint16, error) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", 0, fmt.Errorf("want HOST:PORT")
	}
	host := address[:colon]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		return "", 0, fmt.Errorf("put an IPv6 address in brackets, as in [::1]:18000")
	}
	port, err := strconv.ParseUint(address[colon+1:], 10, 16)
	if err != nil || port == 0 {
		return "", 0, fmt.Errorf("the port must be a number from 1 to 65535")
	}
	if host == "" {
		return "", 0, fmt.Errorf("the host is missing; an Envoy must know whom to ask")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '/' || r == '@' }) {
		return "", 0, fmt.Errorf("%q cannot be the name or the address of a host", host)
	}
	return host, uint16(port), nil
}
