package envoy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestStaticServesWithoutAControlPlane(t *testing.T) {
	backend, server := tlsBackend(t)
	w := newWorld(t, backend, server.TLS.Certificates[0])
	resources := w.resources()
	before := proto.CloneOf(w.listener)

	b, err := Static(BootstrapConfig{Gateway: edge, AdminAddress: "127.0.0.1:0"}, resources)
	require.NoError(t, err)
	require.NoError(t, b.ValidateAll())
	require.True(t, proto.Equal(before, w.listener), "the resources are left as they were")
	said, err := validate(t.Context(), "", b)
	require.NoError(t, err)
	require.Empty(t, said)

	p, err := Start(t.Context(), StartConfig{Bootstrap: b, Concurrency: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	require.NoError(t, p.WaitReady(t.Context()))
	listeners, err := p.Admin().Listeners(t.Context())
	require.NoError(t, err)

	client := server.Client()
	client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
	response, err := client.Get("https://" + listeners["gateway/edge/public/443"].String() + "/")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "from the backend", string(body))

	clusters, err := p.Admin().Clusters(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string][]Host{
		"tunnel/edge/httpbin": {{Address: backend, Weight: 7, Healthy: true, Requests: 1}},
	}, clusters)
}

func TestStaticGivesTheSameForResourcesInAnyOrder(t *testing.T) {
	backend, server := tlsBackend(t)
	resources := newWorld(t, backend, server.TLS.Certificates[0]).resources()
	first, err := Static(BootstrapConfig{Gateway: edge}, resources)
	require.NoError(t, err)
	for range resources {
		resources = append(resources[1:], resources[0])
		again, err := Static(BootstrapConfig{Gateway: edge}, resources)
		require.NoError(t, err)
		require.True(t, proto.Equal(first, again))
	}
}

func TestStaticClusterWithoutEndpointsIsEmpty(t *testing.T) {
	backend, server := tlsBackend(t)
	w := newWorld(t, backend, server.TLS.Certificates[0])
	w.endpoint = nil
	b, err := Static(BootstrapConfig{Gateway: edge}, w.resources())
	require.NoError(t, err)
	require.Empty(t, b.StaticResources.Clusters[0].LoadAssignment.Endpoints)
	require.NoError(t, Validate(t.Context(), "", b))
}

func TestStaticNamesWhatIsMissing(t *testing.T) {
	backend, server := tlsBackend(t)
	w := newWorld(t, backend, server.TLS.Certificates[0])
	w.route = nil
	_, err := Static(BootstrapConfig{Gateway: edge}, w.resources())
	require.EqualError(t, err, "gateway/edge/public/443: the RouteConfiguration gateway/edge/public/443/https is not among the resources")

	w = newWorld(t, backend, server.TLS.Certificates[0])
	w.secrets = nil
	_, err = Static(BootstrapConfig{Gateway: edge}, w.resources())
	require.EqualError(t, err, "tunnel/edge/httpbin: the secret ca/ConfigMap/edge/ca is not among the resources")
}

func TestRegularExpressionsOfSomeLengthAreTaken(t *testing.T) {
	backend, server := tlsBackend(t)
	for length, refused := range map[int]bool{1000: false, MaxRegexProgram + 100: true} {
		w := newWorld(t, backend, server.TLS.Certificates[0])
		w.route.VirtualHosts[0].Routes[0].Match.PathSpecifier = &routev3.RouteMatch_SafeRegex{
			SafeRegex: &matcherv3.RegexMatcher{Regex: "/" + strings.Repeat("a", length)},
		}
		b, err := Static(BootstrapConfig{Gateway: edge}, w.resources())
		require.NoError(t, err)
		err = Validate(t.Context(), "", b)
		if refused {
			require.ErrorContains(t, err, "max program size of 10000")
		} else {
			require.NoError(t, err)
		}
	}
}
