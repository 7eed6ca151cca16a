package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds/devca"
)

const (
	trustDomain     = "example.org"
	gatewayIdentity = "spiffe://example.org/gateway/edge/public"
)

// pki is a directory of certificates, and who signs them.
type pki struct {
	*testing.T
	directory string
	authority *devca.Authority
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{T: t, directory: t.TempDir(), authority: newAuthority(t)}
	p.writeServer(p.issue(devca.Leaf{Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}))
	p.write("ca.crt", p.authority.PEM)
	return p
}

func newAuthority(t *testing.T) *devca.Authority {
	t.Helper()
	authority, err := devca.New("test", time.Now().Add(24*time.Hour))
	require.NoError(t, err)
	return authority
}

func (p *pki) path(name string) string { return filepath.Join(p.directory, name) }

// write replaces a file at once, as those do who mean it.
func (p *pki) write(name string, content []byte) {
	p.Helper()
	require.NoError(p, os.WriteFile(p.path("."+name), content, 0o600))
	require.NoError(p, os.Rename(p.path("."+name), p.path(name)))
}

func (p *pki) writeServer(pair devca.Pair) {
	p.Helper()
	p.write("server.key", pair.Key)
	p.write("server.crt", pair.Certificate)
}

func (p *pki) issue(leaf devca.Leaf) devca.Pair {
	p.Helper()
	pair, err := p.authority.Issue(leaf)
	require.NoError(p, err)
	return pair
}

// client is a client's certificate with these URI SANs, good for a while.
func (p *pki) client(uris ...string) tls.Certificate {
	p.Helper()
	return p.clientUntil(time.Now().Add(time.Hour), uris...)
}

func (p *pki) clientUntil(until time.Time, uris ...string) tls.Certificate {
	p.Helper()
	leaf := devca.Leaf{CommonName: "client", NotAfter: until}
	for _, uri := range uris {
		parsed, err := url.Parse(uri)
		require.NoError(p, err)
		leaf.URIs = append(leaf.URIs, parsed)
	}
	return p.pair(p.issue(leaf))
}

func (p *pki) pair(pair devca.Pair) tls.Certificate {
	p.Helper()
	loaded, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	require.NoError(p, err)
	return loaded
}

func (p *pki) config() AccessConfig {
	return AccessConfig{
		CertificateFile: p.path("server.crt"), KeyFile: p.path("server.key"), ClientCAFile: p.path("ca.crt"), TrustDomain: trustDomain,
		Interval: 5 * time.Millisecond,
	}
}

// secureWorld is a world behind mTLS that follows its files.
type secureWorld struct {
	*world
	*pki
	registry *prometheus.Registry
	access   *Access
	problems func() []api.Problem
}

func newSecureWorld(t *testing.T, config Config, change func(*AccessConfig)) *secureWorld {
	t.Helper()
	s := &secureWorld{pki: newPKI(t), registry: prometheus.NewRegistry()}
	accessConfig := s.config()
	if change != nil {
		change(&accessConfig)
	}
	access, err := NewAccess(accessConfig)
	require.NoError(t, err)
	require.NoError(t, access.Load())
	config.Access, config.Registerer, s.access = access, s.registry, access
	s.world = newEmptyWorld(t, config)
	s.server.SetViews(map[string][]*api.Resource{gateway: {cluster("a", 1)}, "edge/other": {cluster("o", 1)}})

	var mu sync.Mutex
	var problems []api.Problem
	s.problems = func() []api.Problem {
		mu.Lock()
		defer mu.Unlock()
		return problems
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		access.Run(ctx, func(found []api.Problem) {
			mu.Lock()
			defer mu.Unlock()
			problems = found
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// over opens a stream with a client's certificate; the zero value has none.
func (s *secureWorld) over(certificate tls.Certificate) *deltaClient {
	s.world.Helper()
	return s.deltaOver(s.dialTLS(certificate, nil), "envoy-1")
}

// refused is the error of a connection that is to fail, whether opening a stream tells it or the stream does.
func (s *secureWorld) refused(certificate tls.Certificate) error {
	s.world.Helper()
	stream, err := s.dialTLS(certificate, nil).DeltaAggregatedResources(s.world.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	return err
}

// dialTLS connects. check, if not nil, sees the server's certificate.
func (s *secureWorld) dialTLS(certificate tls.Certificate, check func(tls.ConnectionState)) discoveryv3.AggregatedDiscoveryServiceClient {
	return discoveryv3.NewAggregatedDiscoveryServiceClient(s.connect(certificate, check))
}

func (s *secureWorld) connect(certificate tls.Certificate, check func(tls.ConnectionState)) *grpc.ClientConn {
	s.world.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(s.authority.Certificate)
	config := &tls.Config{RootCAs: pool, VerifyConnection: func(state tls.ConnectionState) error {
		if check != nil {
			check(state)
		}
		return nil
	}}
	if certificate.Certificate != nil {
		// Whatever authorities the server names, this certificate is shown.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
	}
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithNoProxy())
	require.NoError(s.world, err)
	s.world.Cleanup(func() { _ = conn.Close() })
	return conn
}

// count is a metric's value for a label.
func (s *secureWorld) count(name, label string) float64 {
	s.world.Helper()
	return gathered(s.world.T, s.registry)[name][label]
}
