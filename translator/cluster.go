package translator

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

const (
	// bufferLimit of a connection, as Envoy's guide for edge proxies asks; its default of 1 MiB lets slow clients use much memory.
	bufferLimit = 32 << 10
	// keepaliveIdle, keepaliveInterval (seconds) and keepaliveProbes find Pods that have vanished with their node, in a
	// minute. The system's default is two hours. HTTP/2 PINGs would do too, but gRPC servers take them for abuse.
	keepaliveIdle, keepaliveInterval, keepaliveProbes = 30, 10, 3
	httpProtocolOptions                               = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	// panicThreshold (percent) of Pods that have to be healthy for the health checks to be believed. Where none is, as when all were replaced and none has
	// been checked yet, a request that is sent may be answered, and one that is not is not. Envoy rounds it, and has 50 by default: too many for
	// what is left to carry all.
	panicThreshold = 1
	// streamWindow and connectionWindow (bytes) of HTTP/2, as Envoy's guide for edge proxies asks.
	streamWindow, connectionWindow = 64 << 10, 1 << 20
)

// makeCluster makes the tunnel's Cluster, or refuses the tunnel. Nothing in it
// depends on the Pods: a changed Cluster warms anew in every Envoy.
func (p *tunnelPlanner) makeCluster() {
	spec := &p.tunnel.Spec
	cluster := &clusterv3.Cluster{
		Name:                 TunnelResource(p.name),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: ads(), ServiceName: TunnelResource(p.name)},
		ConnectTimeout:       above(p.timeout().Connect, v1alpha1.DefaultConnectTimeout),
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{
			HealthyPanicThreshold: &typev3.Percent{Value: panicThreshold},
			// A Pod that has passed its first health check takes traffic at once, instead of up to a second later.
			UpdateMergeWindow: durationpb.New(0),
		},
		// What is removed is gone, even if it still answers health checks.
		IgnoreHealthOnHostRemoval:     true,
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		CircuitBreakers:               p.circuitBreakers(),
		UpstreamConnectionOptions: &clusterv3.UpstreamConnectionOptions{TcpKeepalive: &corev3.TcpKeepalive{
			KeepaliveTime: wrapperspb.UInt32(keepaliveIdle), KeepaliveInterval: wrapperspb.UInt32(keepaliveInterval),
			KeepaliveProbes: wrapperspb.UInt32(keepaliveProbes),
		}},
		Metadata: metadata("tunnel", p.name.String()),
	}
	p.balance(cluster)
	if check := spec.HealthCheck; check != nil {
		p.activeCheck(cluster, check.Active)
		passiveCheck(cluster, check.Passive)
	}
	cluster.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpProtocolOptions: p.protocolOptions()}
	needs := p.secure(cluster)
	p.finish(cluster, needs)
}

// finish makes the resource, if Envoy would take it. Validation of the kinds
// leaves nothing to refuse here; a picture from elsewhere might.
func (p *tunnelPlanner) finish(cluster *clusterv3.Cluster, needs []api.ResourceKey) {
	err := validateProto(cluster)
	if err == nil {
		err = validateProto(p.httpOptions())
	}
	if err != nil {
		p.refuse(api.Problem{
			Code: codeInvalidTunnel, Field: "spec", Message: "Envoy would refuse this tunnel: " + err.Error(), Remedy: "correct the value",
		})
	}
	if p.plan.refused {
		return
	}
	made := &api.Resource{
		ResourceKey: api.ResourceKey{Type: clusterType, Name: cluster.Name}, Message: cluster, Needs: needs, Owners: p.plan.owners,
		Sources: p.sources(),
	}
	if p.old != nil {
		made = keep(p.old.cluster, made)
	}
	p.plan.cluster = made
}

// timeout never is nil.
func (p *tunnelPlanner) timeout() *v1alpha1.Timeout {
	if p.tunnel.Spec.Timeout == nil {
		return &v1alpha1.Timeout{}
	}
	return p.tunnel.Spec.Timeout
}

// circuitBreakers are off unless asked for: Envoy's defaults of 1024 would
// answer 503 in the middle of a peak. Retries are held to a number that a storm of them cannot exceed.
func (p *tunnelPlanner) circuitBreakers() *clusterv3.CircuitBreakers {
	breaker := orDefault(p.tunnel.Spec.CircuitBreaker, v1alpha1.CircuitBreaker{})
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     limit(breaker.MaxConnections, math.MaxUint32),
		MaxPendingRequests: limit(breaker.MaxPendingRequests, math.MaxUint32),
		MaxRequests:        limit(breaker.MaxParallelRequests, math.MaxUint32),
		MaxRetries:         limit(breaker.MaxParallelRetries, v1alpha1.DefaultMaxParallelRetries),
	}}}
}

func limit(value *int64, fallback int64) *wrapperspb.UInt32Value {
	return wrapperspb.UInt32(uint32(min(max(orDefault(value, fallback), 1), math.MaxUint32)))
}

func (p *tunnelPlanner) protocolOptions() *anypb.Any { return pack(p.httpOptions()) }

// httpOptions says what is spoken to the Pods. Retries and what is hashed are
// here and not in the routes, so that each of several tunnels under one weighted route has its own.
func (p *tunnelPlanner) httpOptions() *httpv3.HttpProtocolOptions {
	return &httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout: durationpb.New(duration(p.timeout().ConnectionIdle, v1alpha1.DefaultConnectionIdle)),
		},
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: p.explicitProtocol()},
		RetryPolicy:             p.retryPolicy(),
		HashPolicy:              p.hashPolicy(),
	}
}

func (p *tunnelPlanner) explicitProtocol() *httpv3.HttpProtocolOptions_ExplicitHttpConfig {
	if p.protocol == v1alpha1.ProtocolHTTP {
		return &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
		}
	}
	return &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
			InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
			// A WebSocket reaches an HTTP/2 server by extended CONNECT (RFC 8441), if the server offers that.
			AllowConnect: true,
		}},
	}
}
