package envoy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/podway/podway/api"
)

// world is what a control plane would send for one HTTPS listener that leads
// to one TLS backend: a resource of each type, with everything by reference.
type world struct {
	cluster  *clusterv3.Cluster
	endpoint *endpointv3.ClusterLoadAssignment
	listener *listenerv3.Listener
	route    *routev3.RouteConfiguration
	secrets  []*tlsv3.Secret
}

func newWorld(t *testing.T, backend netip.AddrPort, pair tls.Certificate) *world {
	t.Helper()
	return &world{
		cluster:  upstream(t),
		endpoint: assignment(backend),
		listener: https(t),
		route: &routev3.RouteConfiguration{Name: "gateway/edge/public/443/https", VirtualHosts: []*routev3.VirtualHost{{
			Name: "all", Domains: []string{"*"}, Routes: []*routev3.Route{{
				Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "tunnel/edge/httpbin"},
				}},
			}},
		}}},
		secrets: secrets(t, pair),
	}
}

func (w *world) resources() []*api.Resource {
	var out []*api.Resource
	add := func(kind, name string, m proto.Message) {
		out = append(out, &api.Resource{ResourceKey: api.ResourceKey{Type: "type.googleapis.com/" + kind, Name: name}, Message: m})
	}
	if w.cluster != nil {
		add("envoy.config.cluster.v3.Cluster", w.cluster.Name, w.cluster)
	}
	if w.endpoint != nil {
		add("envoy.config.endpoint.v3.ClusterLoadAssignment", w.endpoint.ClusterName, w.endpoint)
	}
	if w.listener != nil {
		add("envoy.config.listener.v3.Listener", w.listener.Name, w.listener)
	}
	if w.route != nil {
		add("envoy.config.route.v3.RouteConfiguration", w.route.Name, w.route)
	}
	for _, secret := range w.secrets {
		add("envoy.extensions.transport_sockets.tls.v3.Secret", secret.Name, secret)
	}
	return out
}

func upstream(t *testing.T) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 "tunnel/edge/httpbin",
		ConnectTimeout:       durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS()},
		TransportSocket: &corev3.TransportSocket{
			Name: "envoy.transport_sockets.tls",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(t, &tlsv3.UpstreamTlsContext{
				Sni: "example.com",
				CommonTlsContext: &tlsv3.CommonTlsContext{
					ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
						CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
							DefaultValidationContext:         &tlsv3.CertificateValidationContext{},
							ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: "ca/ConfigMap/edge/ca", SdsConfig: fromADS()},
						},
					},
				},
			})},
		},
	}
}

func assignment(backend netip.AddrPort) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: "tunnel/edge/httpbin",
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			LoadBalancingWeight: wrapperspb.UInt32(7),
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: socketAddress(backend.Addr().String(), backend.Port())},
			},
		}}}},
	}
}

func https(t *testing.T) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name:    "gateway/edge/public/443",
		Address: socketAddress("127.0.0.1", 0),
		FilterChains: []*listenerv3.FilterChain{{
			Filters: []*listenerv3.Filter{{
				Name: "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(t, &hcmv3.HttpConnectionManager{
					StatPrefix: "https",
					RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
						RouteConfigName: "gateway/edge/public/443/https", ConfigSource: fromADS(),
					}},
					HttpFilters: []*hcmv3.HttpFilter{{
						Name:       "envoy.filters.http.router",
						ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(t, &routerv3.Router{})},
					}},
				})},
			}},
			TransportSocket: &corev3.TransportSocket{
				Name: "envoy.transport_sockets.tls",
				ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed(t, &tlsv3.DownstreamTlsContext{
					CommonTlsContext: &tlsv3.CommonTlsContext{
						TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: "secret/edge/tls", SdsConfig: fromADS()}},
					},
				})},
			},
		}},
	}
}

func secrets(t *testing.T, pair tls.Certificate) []*tlsv3.Secret {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	certificate := inline("CERTIFICATE", pair.Certificate[0])
	return []*tlsv3.Secret{
		{Name: "secret/edge/tls", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: certificate, PrivateKey: inline("PRIVATE KEY", key),
		}}},
		{Name: "ca/ConfigMap/edge/ca", Type: &tlsv3.Secret_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: certificate},
		}},
	}
}

func inline(kind string, der []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{
		InlineBytes: pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}),
	}}
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	out, err := pack(m)
	require.NoError(t, err)
	return out
}

func tlsBackend(t *testing.T) (netip.AddrPort, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "from the backend")
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).AddrPort(), server
}
