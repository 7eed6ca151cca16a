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
	"google.golang.org/protobuf/types/known/durationpb"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/envoy"
)

// frontend runs a real Envoy with the tunnels of a picture, and nothing of the
// front half: /NAME/ leads to tunnel edge/NAME. It returns the URL to ask.
func frontend(t *testing.T, p *picture, change func(*routev3.RouteAction)) string {
	t.Helper()
	plan := Translate(p.cfg, nil)
	require.Empty(t, plan.Problems())
	host := &routev3.VirtualHost{Name: "all", Domains: []string{"*"}}
	for _, name := range plan.AllTunnels() {
		action := &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: TunnelResource(name)}}
		if change != nil {
			change(action)
		}
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

// TestEachTunnelRetriesByItsOwnPolicy where no route says anything of retries. Nothing listens on port 1.
func TestEachTunnelRetriesByItsOwnPolicy(t *testing.T) {
	port := backendServer(t, "alive", nil)
	url := frontend(t, mustPicture(t, fmt.Appendf(nil, `
kind: Tunnel
metadata: {name: retried, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: %[1]d, weight: 1}, {address: 127.0.0.1, port: 1, weight: 20}]}
---
kind: Tunnel
metadata: {name: once, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: %[1]d}, {address: 127.0.0.1, port: 1}], retry: {attempts: 0}}
`, port)), nil)
	failed := 0
	for range 40 {
		require.Equal(t, http.StatusOK, ask(t, url+"/retried/").status, "a connection that is refused is tried on the other address")
		if ask(t, url+"/once/").status != http.StatusOK {
			failed++
		}
	}
	require.NotZero(t, failed, "retries are off")
}

// TestPerTryTimeoutOfTheRouteBoundsTheTriesOfTheTunnel holds what perTryTimeout
// says of Envoy: the time is the route's, the number and the reasons are the Cluster's.
func TestPerTryTimeoutOfTheRouteBoundsTheTriesOfTheTunnel(t *testing.T) {
	var tries atomic.Int32
	port := backendServer(t, "slow", func(_ http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		<-r.Context().Done()
	})
	p := mustPicture(t, fmt.Appendf(nil, `
kind: Tunnel
metadata: {name: slow, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: %d}], retry: {attempts: 2, perTryTimeout: 50ms, "on": [GatewayError]}}
`, port))
	bound := Translate(p.cfg, nil).tunnels[types.NamespacedName{Namespace: "edge", Name: "slow"}].perTryTimeout()
	require.Equal(t, 50*time.Millisecond, bound)
	url := frontend(t, p, func(action *routev3.RouteAction) {
		action.RetryPolicy = &routev3.RetryPolicy{PerTryTimeout: durationpb.New(bound)}
	})
	require.Equal(t, http.StatusGatewayTimeout, ask(t, url+"/slow/").status)
	require.EqualValues(t, 3, tries.Load())
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
`, first, second, third)), nil)
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
