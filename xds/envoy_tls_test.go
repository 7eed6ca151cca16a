package xds

import (
	"crypto/x509"
	"net/url"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/envoy"
	"github.com/podway/podway/xds/devca"
)

// secureFleet is a fleet behind mTLS whose Envoys' files are in the directory of the pki.
func secureFleet(t *testing.T) (*pki, *fleet, *Access) {
	t.Helper()
	p := newPKI(t)
	access, err := NewAccess(p.config())
	require.NoError(t, err)
	require.NoError(t, access.Load())
	resources := []*api.Resource{realListener(t), realRoutes("c"), realCluster("c", time.Second), endpoints("c", backend(t, "one"))}
	return p, newFleetBehind(t, "127.0.0.1:0", access, resources...), access
}

// writeEnvoy writes a new certificate of the Gateway edge/public, and returns it.
func (p *pki) writeEnvoy() *x509.Certificate {
	p.Helper()
	uri, err := url.Parse(gatewayIdentity)
	require.NoError(p, err)
	pair := p.issue(devca.Leaf{URIs: []*url.URL{uri}, NotAfter: time.Now().Add(time.Hour)})
	p.write("envoy.key", pair.Key)
	p.write("envoy.crt", pair.Certificate)
	return p.pair(pair).Leaf
}

// bootstrap is that of an Envoy that says it is of a Gateway.
func (p *pki) bootstrap(xdsAddress, gatewayName string) *bootstrapv3.Bootstrap {
	p.Helper()
	secure := envoy.XDSTLS{CAFile: p.path("ca.crt"), CertificateFile: p.path("envoy.crt"), KeyFile: p.path("envoy.key"), Directory: p.directory}
	files, err := envoy.SecretFiles(secure)
	require.NoError(p, err)
	for name, content := range files {
		p.write(name, content)
	}
	b, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: gatewayName}, NodeID: "envoy-1", XDSAddress: xdsAddress, AdminAddress: "127.0.0.1:0", TLS: &secure,
	})
	require.NoError(p, err)
	return b
}

func TestRealEnvoyIsServedOverMTLSAndChangesItsCertificate(t *testing.T) {
	p, f, access := secureFleet(t)
	p.writeEnvoy()
	_, url := f.start(p.bootstrap(f.address, "public"))
	answers(t, url, "one")
	require.Equal(t, gateway, f.server.Streams()[0].Gateway)
	l := newLoad(t, url, 2)
	next := p.writeEnvoy()
	eventually(t, func() bool {
		for _, conn := range access.open() {
			if conn.chain[0].Equal(next) {
				return len(f.server.Streams()) == 1
			}
			conn.timer.Reset(0) // as if the old certificate had expired
		}
		return false
	}, "the Envoy is back with the new certificate once the old one has expired")
	require.NotZero(t, gathered(t, f.registry)["podway_xds_ended_connections_total"][string(reasonExpired)])
	require.Empty(t, gathered(t, f.registry)["podway_xds_refused_connections_total"])
	f.set(realListener(t), realRoutes("c"), realCluster("c", time.Second), endpoints("c", backend(t, "two")))
	answers(t, url, "two")
	l.wantNoFailures()
}

func TestRealEnvoyOfOneGatewayCannotReadAnother(t *testing.T) {
	p, f, _ := secureFleet(t)
	f.server.SetViews(map[string][]*api.Resource{gateway: {realCluster("mine", time.Second)}, "edge/other": {realListener(t), realRoutes("c"), realCluster("c", time.Second)}})
	p.writeEnvoy()
	log := &journal{}
	process := f.run(p.bootstrap(f.address, "other"), log)
	eventually(t, func() bool {
		return gathered(t, f.registry)["podway_xds_refused_streams_total"][string(reasonWrongGateway)] >= 2
	}, "the Envoy is refused, and tries again")
	eventually(t, func() bool {
		return log.count(`the identity spiffe://example.org/gateway/edge/public may be the Gateway edge/public only, but node.cluster is "edge/other"`) > 0
	}, "its log says why")
	listeners, err := process.Admin().Listeners(t.Context())
	require.NoError(t, err)
	require.Empty(t, listeners)
	require.Empty(t, f.server.Streams())
	require.Empty(t, gathered(t, f.registry)["podway_xds_responses_total"])
}
