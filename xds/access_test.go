package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds/devca"
)

func TestEnvoyWithTheGatewaysIdentityIsServed(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	version, protocol := uint16(0), ""
	c := s.deltaOver(s.dialTLS(s.client(gatewayIdentity), func(state tls.ConnectionState) {
		version, protocol = state.Version, state.NegotiatedProtocol
	}), "envoy-1")
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	require.Equal(t, uint16(tls.VersionTLS13), version)
	require.Equal(t, "h2", protocol)
}

func TestClientsThatStandForNobodyAreToldSo(t *testing.T) {
	const form = "spiffe://example.org/gateway/NAMESPACE/NAME"
	for name, test := range map[string]struct {
		uris   []string
		reason reason
		says   string
	}{
		"no URI SAN": {nil, reasonNoURI, "the client certificate has no URI SAN; it needs one, " + form},
		"several URI SANs": {
			[]string{gatewayIdentity, "spiffe://example.org/gateway/edge/other"},
			reasonSeveralURIs,
			"the client certificate has 2 URI SANs, spiffe://example.org/gateway/edge/public and spiffe://example.org/gateway/edge/other among them; it must have exactly one, " + form,
		},
		"another trust domain": {
			[]string{"spiffe://example.com/gateway/edge/public"},
			reasonTrustDomain,
			"the client certificate's URI SAN spiffe://example.com/gateway/edge/public is not of the trust domain example.org; it must be " + form,
		},
		"a trust domain that begins the same": {[]string{"spiffe://example.org.evil/gateway/edge/public"}, reasonTrustDomain, "is not of the trust domain example.org"},
		"a user before the trust domain":      {[]string{"spiffe://example.org@evil/gateway/edge/public"}, reasonTrustDomain, "is not of the trust domain example.org"},
		"a port":                              {[]string{"spiffe://example.org:1/gateway/edge/public"}, reasonTrustDomain, "is not of the trust domain example.org"},
		"another scheme":                      {[]string{"https://example.org/gateway/edge/public"}, reasonTrustDomain, "is not of the trust domain example.org"},
		"another path": {
			[]string{"spiffe://example.org/ns/edge/sa/public"},
			reasonNoGateway,
			"the client certificate's URI SAN spiffe://example.org/ns/edge/sa/public stands for no Gateway and no operator; a Gateway's is " + form,
		},
		"a longer path":    {[]string{gatewayIdentity + "/more"}, reasonNoGateway, "stands for no Gateway"},
		"a shorter path":   {[]string{"spiffe://example.org/gateway/edge"}, reasonNoGateway, "stands for no Gateway"},
		"an empty segment": {[]string{"spiffe://example.org/gateway//public"}, reasonNoGateway, "stands for no Gateway"},
		"a dotted segment": {[]string{"spiffe://example.org/gateway/../public"}, reasonNoGateway, "stands for no Gateway"},
		"an escaped slash": {[]string{"spiffe://example.org/gateway/edge/a%2Fb"}, reasonNoGateway, "stands for no Gateway"},
		"a query":          {[]string{gatewayIdentity + "?x"}, reasonNoGateway, "stands for no Gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecureWorld(t, quick(), nil)
			err := s.over(s.client(test.uris...)).ends()
			require.Equal(t, codes.PermissionDenied, status.Code(err))
			require.ErrorContains(t, err, test.says)
			require.Equal(t, 1.0, s.count("podway_xds_refused_streams_total", string(test.reason)))
			require.Empty(t, s.server.Streams())
		})
	}
}

func TestClientsWithoutAGoodCertificateAreNotConnected(t *testing.T) {
	config, log := quick(), &journal{}
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := newSecureWorld(t, config, nil)
	stranger := &pki{T: t, authority: newAuthority(t)}
	for name, test := range map[string]struct {
		certificate tls.Certificate
		reason      reason
		says        string
	}{
		"none":              {tls.Certificate{}, reasonNoCertificate, "certificate required"},
		"expired":           {s.clientUntil(time.Now().Add(-time.Minute), gatewayIdentity), reasonExpired, "expired certificate"},
		"unknown authority": {stranger.client(gatewayIdentity), reasonUnknownAuthority, "unknown certificate authority"},
		"a server's":        {s.pair(s.issue(devca.Leaf{Server: true, NotAfter: time.Now().Add(time.Hour)})), reasonBadCertificate, "bad certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.count("podway_xds_refused_connections_total", string(test.reason))
			err := s.refused(test.certificate)
			require.Equal(t, codes.Unavailable, status.Code(err))
			require.ErrorContains(t, err, test.says)
			eventually(t, func() bool { return s.count("podway_xds_refused_connections_total", string(test.reason)) > before }, "it is counted")
			eventually(t, func() bool {
				return log.count(`msg="A connection was refused" peer=127.0.0.1 reason=`+string(test.reason)+" ") == 1
			}, "it is logged once")
		})
	}
	require.Equal(t, 2, log.count("claims="+gatewayIdentity), "of those whose certificate says it")
	t.Run("that does not know podway's authority", func(t *testing.T) {
		_, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", NextProtos: []string{"h2"}})
		require.Error(t, err)
		eventually(t, func() bool {
			return log.count(`reason=certificate_refused claims="" error="the client refuses podway's certificate (remote error: tls: bad certificate); `+
				`its --xds-ca must hold the authority of --xds-cert, and that certificate be good for its --xds-server-name"`) == 1
		}, "it is told whose fault it is")
		require.Equal(t, 1.0, s.count("podway_xds_refused_connections_total", string(reasonRefusesUs)))
	})
	t.Run("no TLS", func(t *testing.T) {
		stream, err := s.dial().DeltaAggregatedResources(t.Context())
		if err == nil {
			_, err = stream.Recv()
		}
		require.Error(t, err)
		eventually(t, func() bool { return s.count("podway_xds_refused_connections_total", string(reasonNoTLS)) > 0 }, "it is counted")
	})
}

func TestGatewayCannotReadWhatAnotherHas(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	const says = `the identity spiffe://example.org/gateway/edge/public may be the Gateway edge/public only, but node.cluster is "edge/other"; ` +
		"set node.cluster to edge/public, or use the certificate of the other Gateway"
	t.Run("Delta", func(t *testing.T) {
		c := s.over(s.client(gatewayIdentity))
		c.spoken = true
		c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, Node: &corev3.Node{Id: "envoy-1", Cluster: "edge/other"}})
		err := c.ends()
		require.Equal(t, codes.PermissionDenied, status.Code(err))
		require.ErrorContains(t, err, says)
		require.Empty(t, c.responses)
	})
	t.Run("StateOfTheWorld", func(t *testing.T) {
		stream, err := s.dialTLS(s.client(gatewayIdentity), nil).StreamAggregatedResources(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(&discoveryv3.DiscoveryRequest{TypeUrl: clusterType, Node: &corev3.Node{Id: "envoy-1", Cluster: "edge/other"}}))
		_, err = stream.Recv()
		require.Equal(t, codes.PermissionDenied, status.Code(err))
		require.ErrorContains(t, err, says)
	})
	require.Equal(t, 2.0, s.count("podway_xds_refused_streams_total", string(reasonWrongGateway)))
	require.Empty(t, s.server.Streams())
}

func TestStreamCannotChangeItsGateway(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	c := s.over(s.client(gatewayIdentity))
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType, Node: &corev3.Node{Id: "envoy-1"}}) // says nothing of it
	c.want(listenerType)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: endpointType, Node: &corev3.Node{Id: "envoy-1", Cluster: "edge/other"}})
	err := c.ends()
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.ErrorContains(t, err, `node.cluster changed from "edge/public" to "edge/other" within the stream`)
	require.Equal(t, 1.0, s.count("podway_xds_refused_streams_total", string(reasonChangedGateway)))
}

func TestPathOfIdentitiesCanBeChosen(t *testing.T) {
	s := newSecureWorld(t, quick(), func(c *AccessConfig) { c.IdentityPath = "/ns/{namespace}/sa/{name}" })
	c := s.over(s.client("spiffe://example.org/ns/edge/sa/public"))
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	require.ErrorContains(t, s.over(s.client(gatewayIdentity)).ends(), "a Gateway's is spiffe://example.org/ns/NAMESPACE/sa/NAME")
}

func TestMistakesOfAccessAreNamed(t *testing.T) {
	for want, config := range map[string]AccessConfig{
		`trust domain "": want a name of lower-case letters`:                         {},
		`trust domain "Example.org": want a name of lower-case letters`:              {TrustDomain: "Example.org"},
		`identity path "gateway/{namespace}/{name}": want a path`:                    {TrustDomain: "a", IdentityPath: "gateway/{namespace}/{name}"},
		`identity path "/{name}": want a path`:                                       {TrustDomain: "a", IdentityPath: "/{name}"},
		`identity path "/{name}/{name}": want a path`:                                {TrustDomain: "a", IdentityPath: "/{name}/{name}"},
		`identity path "/x{namespace}/{name}": want a path`:                          {TrustDomain: "a", IdentityPath: "/x{namespace}/{name}"},
		`operator identity "spiffe://b/x": want spiffe://a/ and a path of letters`:   {TrustDomain: "a", Operators: []string{"spiffe://b/x"}},
		`operator identity "spiffe://a/x?y": want spiffe://a/ and a path of letters`: {TrustDomain: "a", Operators: []string{"spiffe://a/x?y"}},
	} {
		_, err := NewAccess(config)
		require.ErrorContains(t, err, want)
	}
}

func TestConnectionEndsWithItsClientsCertificate(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	certificate := s.client(gatewayIdentity)
	short, long := s.over(certificate), s.over(s.client(gatewayIdentity))
	for _, c := range []*deltaClient{short, long} {
		c.subscribe(clusterType)
		c.want(clusterType, "a")
	}
	require.Len(t, s.access.open(), 2)
	for _, conn := range s.access.open() {
		if conn.chain[0].Equal(certificate.Leaf) {
			conn.timer.Reset(0) // as if its time had come
		}
	}
	require.Equal(t, codes.Unavailable, status.Code(short.ends()))
	require.Equal(t, 1.0, s.count("podway_xds_ended_connections_total", string(reasonExpired)))
	long.quiet()
	eventually(t, func() bool { return len(s.access.open()) == 1 }, "the connection is forgotten")
}

func TestChainEndsWithItsFirstCertificate(t *testing.T) {
	at := func(hours int) *x509.Certificate {
		return &x509.Certificate{NotAfter: time.Unix(0, 0).Add(time.Duration(hours) * time.Hour)}
	}
	for want, chains := range map[int][][]*x509.Certificate{
		1: {{at(1), at(2), at(3)}},
		2: {{at(3), at(2), at(4)}},
		3: {{at(5), at(2)}, {at(5), at(3)}},
	} {
		require.Equal(t, at(want).NotAfter, validUntil(chains))
	}
}

func TestDeadPeerIsFoundByPings(t *testing.T) {
	config := quick()
	config.Limits = Limits{PingInterval: time.Minute, PingTimeout: 10 * time.Second}
	onTheClock(t, config, []*api.Resource{cluster("a", 1)}, func(w *world) {
		line := newLine(w.T, w.connect)
		w.dialer = grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return line.Dial() })
		c := w.delta()
		c.subscribe(clusterType)
		c.want(clusterType, "a")
		<-time.After(time.Hour)
		require.Len(w, w.server.Streams(), 1, "it answers pings")
		line.cut()
		<-time.After(2 * time.Minute)
		require.Empty(w, w.server.Streams())
	})
}

// line is a connection through a middleman who can fall silent without a word to either side.
type line struct {
	*bufconn.Listener
	silent chan struct{}
}

func newLine(t *testing.T, connect func() (net.Conn, error)) *line {
	t.Helper()
	l := &line{Listener: bufconn.Listen(1 << 20), silent: make(chan struct{})}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		near, err := l.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := connect()
		if err != nil {
			return
		}
		defer far.Close()
		ended := make(chan struct{}, 2)
		for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
			go func() {
				l.forward(way[0], way[1])
				ended <- struct{}{}
			}()
		}
		<-ended
		_ = near.Close()
		_ = far.Close()
		<-ended
	}()
	return l
}

// forward swallows what comes once the line is cut.
func (l *line) forward(from, to net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-l.silent:
			continue
		default:
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (l *line) cut() { close(l.silent) }
