package translator

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/envoy"
)

// frontend runs a real Envoy with the tunnels of a picture, and nothing of the
// front half: /NAME/ leads to tunnel edge/NAME. It returns the URL to ask.
func frontend(t *testing.T, p *picture) string {
	t.Helper()
	plan := Translate(p.cfg, nil)
	require.Empty(t, p.cfg.Problems)
	require.Empty(t, plan.Problems())
	host := &routev3.VirtualHost{Name: "all", Domains: []string{"*"}}
	for _, name := range plan.AllTunnels() {
		action := &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: TunnelResource(name)}}
		host.Routes = append(host.Routes, &routev3.Route{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/" + name.Name + "/"}},
			Action: &routev3.Route_Route{Route: action},
		})
	}
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix:     "test",
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{host}}},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})},
		}},
	}
	listener := &listenerv3.Listener{
		Name: "test",
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{},
		}}},
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(manager)},
		}}}},
	}
	resources := append(withEndpoints(p, plan), &api.Resource{ResourceKey: api.ResourceKey{Type: typeURL(listener), Name: "test"}, Message: listener})
	return startEnvoy(t, resources)
}

func startEnvoy(t *testing.T, resources []*api.Resource) string {
	t.Helper()
	config, err := envoy.Static(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: "test"}, NodeID: "test", AdminAddress: "127.0.0.1:0",
	}, resources)
	require.NoError(t, err)
	process, err := envoy.Start(context.Background(), envoy.StartConfig{Bootstrap: config, Concurrency: 1, LogLevel: "warning"})
	require.NoError(t, err)
	t.Cleanup(process.Kill)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, process.WaitReady(ctx))
	listeners, err := process.Admin().Listeners(ctx)
	require.NoError(t, err)
	return "http://" + listeners["test"].String()
}

// answer is what came back for one request.
type answer struct {
	status  int
	body    string
	cookies []*http.Cookie
}

func ask(t *testing.T, url string, cookies ...*http.Cookie) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for _, cookie := range cookies {
		request.AddCookie(cookie)
	}
	request.Close = true // what Envoy hashes for a new cookie is of the connection
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, string(body), response.Cookies()}
}

// backendServer answers with its name.
func backendServer(t *testing.T, name string, handle http.HandlerFunc) int {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle != nil {
			handle(w, r)
		}
		fmt.Fprint(w, name)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// TestEachTunnelRetriesByItsOwnPolicy where no route says anything of retries. Nothing listens on port 1. The weights are as far apart
// as they may be, and in a table of 2039 places a few neighbors of one are rarely another Pod's.
func TestEachTunnelRetriesByItsOwnPolicy(t *testing.T) {
	port := backendServer(t, "alive", nil)
	url := frontend(t, mustPicture(t, fmt.Appendf(nil, `
kind: Tunnel
metadata: {name: retried, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: %[1]d, weight: 1}, {address: 127.0.0.1, port: 1, weight: 100}]}
---
kind: Tunnel
metadata: {name: once, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: %[1]d}, {address: 127.0.0.1, port: 1}], retry: {attempts: 0}}
`, port)))
	failed := 0
	for range 100 {
		require.Equal(t, http.StatusOK, ask(t, url+"/retried/").status, "a connection that is refused is tried on the other address")
		if ask(t, url+"/once/").status != http.StatusOK {
			failed++
		}
	}
	require.NotZero(t, failed, "retries are off")
}

// TestOneTryIsBoundedByTheTunnelOrTheRoute with a Gateway and an HTTPRoute, as
// Envoy reads the time of one try off the route, and all else of retries off the Cluster.
func TestOneTryIsBoundedByTheTunnelOrTheRoute(t *testing.T) {
	var tries atomic.Int32
	port := backendServer(t, "slow", func(_ http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		<-r.Context().Done()
	})
	p := mustPicture(t, fmt.Appendf(nil, shared+`
---
kind: Tunnel
metadata: {name: retried, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: %[1]d}], retry: {attempts: 2, perTryTimeout: 50ms, "on": [GatewayError]}}
---
kind: Tunnel
metadata: {name: once, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: %[1]d}], retry: {attempts: 0}}
---
kind: HTTPRoute
metadata: {name: slow, namespace: edge}
spec:
  parentRefs: [{name: shared}]
  rules:
  - matches: [{path: {value: /by-tunnel}}]
    backendRefs: [{group: podway.dev, kind: Tunnel, name: retried}]
  - matches: [{path: {value: /by-both}}]
    backendRefs: [{group: podway.dev, kind: Tunnel, name: retried}]
    timeouts: {backendRequest: 20ms}
  - matches: [{path: {value: /by-route}}]
    backendRefs: [{group: podway.dev, kind: Tunnel, name: once}]
    timeouts: {backendRequest: 50ms}
`, port))
	plan := Translate(p.cfg, nil)
	require.Empty(t, plan.Problems())
	resources := withEndpoints(p, plan)
	for i, resource := range resources {
		if listener, ok := resource.Message.(*listenerv3.Listener); ok {
			listener = proto.CloneOf(listener)
			listener.Name = "test"
			listener.Address.GetSocketAddress().Address = "127.0.0.1" // for which no proxy of the environment is asked
			listener.Address.GetSocketAddress().PortSpecifier = &corev3.SocketAddress_PortValue{}
			resources[i] = &api.Resource{ResourceKey: api.ResourceKey{Type: resource.Type, Name: "test"}, Message: listener}
		}
	}
	url := startEnvoy(t, resources)
	for path, want := range map[string]int32{"/by-tunnel": 3, "/by-both": 3, "/by-route": 1} {
		tries.Store(0)
		require.Equal(t, http.StatusGatewayTimeout, ask(t, url+path).status, path)
		// The server may learn of one that is over already.
		require.Eventually(t, func() bool { return tries.Load() >= want }, time.Minute, time.Millisecond, path)
		require.Equal(t, want, tries.Load(), path)
	}
}

func TestTunnelsOfOneRuleWithDifferentTimesOfATry(t *testing.T) {
	p := mustPicture(t, []byte(shared+`
---
kind: Tunnel
metadata: {name: short, namespace: edge}
spec: {network: vpc, addresses: [{address: 127.0.0.1, port: 80}], retry: {perTryTimeout: 1s}}
---
kind: Tunnel
metadata: {name: long, namespace: edge}
spec: {network: vpc, addresses: [{address: 127.0.0.1, port: 80}], retry: {perTryTimeout: 2s}}
---
kind: HTTPRoute
metadata: {name: both, namespace: edge}
spec:
  parentRefs: [{name: shared}]
  rules:
  - backendRefs: [{group: podway.dev, kind: Tunnel, name: short}, {group: podway.dev, kind: Tunnel, name: long}]
`))
	plan := Translate(p.cfg, nil)
	require.Len(t, plan.Problems(), 1)
	require.Equal(t, "warning Conflict: HTTPRoute edge/both spec.rules[0].backendRefs: the tunnels of this rule have different values of "+
		"retry.perTryTimeout, and one must do for all: the longest, or none where one has none; give these tunnels the same retry.perTryTimeout",
		plan.Problems()[0].String())
	for _, resource := range plan.Resources(edge("shared")) {
		if routes, ok := resource.Message.(*routev3.RouteConfiguration); ok {
			require.Equal(t, 2*time.Second, routes.VirtualHosts[0].Routes[0].GetRoute().RetryPolicy.PerTryTimeout.AsDuration())
		}
	}
}

// TestCookieKeepsAClientAtOnePod and is made by the tunnel's own hash policy.
func TestCookieKeepsAClientAtOnePod(t *testing.T) {
	first, second, third := backendServer(t, "a", nil), backendServer(t, "b", nil), backendServer(t, "c", nil)
	url := frontend(t, mustPicture(t, fmt.Appendf(nil, `
kind: Tunnel
metadata: {name: sticky, namespace: edge}
spec:
  addresses: [{address: 127.0.0.1, port: %d}, {address: 127.0.0.1, port: %d}, {address: 127.0.0.1, port: %d, weight: 50}]
  loadBalancer: {type: ConsistentHash, consistentHash: {cookie: {name: podway, ttl: 1h}}}
`, first, second, third)))
	seen := map[string]bool{}
	for range 20 {
		start := ask(t, url+"/sticky/")
		require.Len(t, start.cookies, 1)
		require.Equal(t, "podway", start.cookies[0].Name)
		require.Equal(t, 3600, start.cookies[0].MaxAge)
		seen[start.body] = true
		for range 5 {
			again := ask(t, url+"/sticky/", start.cookies[0])
			require.Equal(t, start.body, again.body)
			require.Empty(t, again.cookies)
		}
	}
	require.Greater(t, len(seen), 1, "clients spread over the Pods")
}
