package envoy

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/xds/devca"
)

// tlsFiles writes what an Envoy with mTLS reads.
func tlsFiles(t *testing.T) *XDSTLS {
	t.Helper()
	directory := t.TempDir()
	authority, err := devca.New("test", time.Now().Add(time.Hour))
	require.NoError(t, err)
	pair, err := authority.Issue(devca.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	c := &XDSTLS{
		CAFile: filepath.Join(directory, "ca.crt"), CertificateFile: filepath.Join(directory, "tls.crt"), KeyFile: filepath.Join(directory, "tls.key"),
		Directory: directory,
	}
	files, err := SecretFiles(*c)
	require.NoError(t, err)
	require.Len(t, files, 2)
	files["ca.crt"], files["tls.crt"], files["tls.key"] = authority.PEM, pair.Certificate, pair.Key
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), content, 0o600))
	}
	return c
}

func TestBootstrapWithTLSIsAcceptedByEnvoyWithoutAWarning(t *testing.T) {
	for name, cfg := range map[string]BootstrapConfig{
		"an address":  {},
		"a name":      {XDSAddress: "podway.edge.svc:18000"},
		"another SAN": {TLS: &XDSTLS{ServerName: "spiffe://example.org/podway"}},
		"IPv6":        {XDSAddress: "[::1]:18000"},
	} {
		t.Run(name, func(t *testing.T) {
			tls := tlsFiles(t)
			if cfg.TLS != nil {
				tls.ServerName = cfg.TLS.ServerName
			}
			cfg.Gateway, cfg.TLS = edge, tls
			b, err := Bootstrap(cfg)
			require.NoError(t, err)
			require.NoError(t, b.ValidateAll())
			said, err := validate(t.Context(), "", b)
			require.NoError(t, err)
			require.Empty(t, said)
		})
	}
}

func TestServerIsAskedForByNameAndVerified(t *testing.T) {
	for address, want := range map[string]struct {
		kind tlsv3.SubjectAltNameMatcher_SanType
		san  string
		sni  string
	}{
		"127.0.0.1:18000":       {tlsv3.SubjectAltNameMatcher_IP_ADDRESS, "127.0.0.1", ""},
		"[::1]:18000":           {tlsv3.SubjectAltNameMatcher_IP_ADDRESS, "::1", ""},
		"podway.internal:18000": {tlsv3.SubjectAltNameMatcher_DNS, "podway.internal", "podway.internal"},
	} {
		b, err := Bootstrap(BootstrapConfig{Gateway: edge, XDSAddress: address, TLS: &XDSTLS{CAFile: "/a", CertificateFile: "/b", KeyFile: "/c", Directory: "/d"}})
		require.NoError(t, err)
		context := &tlsv3.UpstreamTlsContext{}
		require.NoError(t, b.StaticResources.Clusters[0].TransportSocket.GetTypedConfig().UnmarshalTo(context))
		require.Equal(t, want.sni, context.Sni)
		sans := context.CommonTlsContext.GetCombinedValidationContext().DefaultValidationContext.MatchTypedSubjectAltNames
		require.Len(t, sans, 1)
		require.Equal(t, want.kind, sans[0].SanType)
		require.Equal(t, want.san, sans[0].Matcher.GetExact())
	}
}

func TestBootstrapRefusesTLSThatEnvoyCouldNotUse(t *testing.T) {
	for want, tls := range map[string]XDSTLS{
		`TLS to podway: the path "ca.crt" of the authorities is not absolute`:    {CAFile: "ca.crt"},
		`TLS to podway: the path "" of the certificate is not absolute`:          {CAFile: "/ca.crt"},
		`TLS to podway: the path "k" of the key is not absolute`:                 {CAFile: "/ca.crt", CertificateFile: "/c", KeyFile: "k"},
		`TLS to podway: the path "" of the directory of secrets is not absolute`: {CAFile: "/ca.crt", CertificateFile: "/c", KeyFile: "/k"},
		`server name "*.internal": want a DNS name, an IP address or a URI`:      {CAFile: "/a", CertificateFile: "/c", KeyFile: "/k", Directory: "/d", ServerName: "*.internal"},
	} {
		_, err := Bootstrap(BootstrapConfig{Gateway: edge, TLS: &tls})
		require.ErrorContains(t, err, want)
	}
}
