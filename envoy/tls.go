package envoy

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// The files with an Envoy's secrets, and the names of the secrets in them.
const (
	certificateSecretFile = "xds-certificate.yaml"
	certificateSecret     = "podway-xds-certificate"
	authoritiesSecretFile = "xds-authorities.yaml"
	authoritiesSecret     = "podway-xds-authorities"
)

// XDSTLS is an Envoy's side of mutual TLS with the control plane. All paths are absolute, and as the Envoy sees them.
type XDSTLS struct {
	// CAFile are the authorities, in PEM, of which one has signed podway's certificate.
	CAFile string
	// CertificateFile and KeyFile are the Envoy's own chain and private key, in PEM. Its URI SAN says which Gateway it may be.
	CertificateFile, KeyFile string
	// ServerName is a SAN that podway's certificate must have: a DNS name, an IP address or a URI with a scheme. By default,
	// it is the host of XDSAddress.
	ServerName string
	// Directory is where the files of SecretFiles are.
	Directory string
}

func (c XDSTLS) check() error {
	for _, path := range []struct{ what, value string }{
		{"authorities", c.CAFile}, {"certificate", c.CertificateFile}, {"key", c.KeyFile}, {"directory of secrets", c.Directory},
	} {
		if !filepath.IsAbs(path.value) {
			return fmt.Errorf("TLS to podway: the path %q of the %s is not absolute", path.value, path.what)
		}
	}
	return nil
}

// SecretFiles returns the files, by name, that must be in c.Directory before the Envoy starts. They name the PEM files and hold no
// key. An Envoy reads certificates anew only where they come to it as secrets, even if from files: it does so when a file is moved
// into the directory of the PEM files, as Kubernetes and everybody who replaces files at once does.
func SecretFiles(c XDSTLS) (map[string][]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for name, secret := range map[string]*tlsv3.Secret{
		certificateSecretFile: {Name: certificateSecret, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: fromFile(c.CertificateFile), PrivateKey: fromFile(c.KeyFile), WatchedDirectory: directoryOf(c.CertificateFile),
		}}},
		authoritiesSecretFile: {Name: authoritiesSecret, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: fromFile(c.CAFile), WatchedDirectory: directoryOf(c.CAFile),
		}}},
	} {
		packed, err := pack(secret)
		if err != nil {
			return nil, err
		}
		content, err := MarshalYAML(&discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{packed}})
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

// transportSocket is mTLS towards the control plane at a host.
func (c XDSTLS) transportSocket(host string) (*corev3.TransportSocket, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	name := c.ServerName
	if name == "" {
		name = host
	}
	san, sni, err := serverName(name)
	if err != nil {
		return nil, err
	}
	packed, err := pack(&tlsv3.UpstreamTlsContext{
		Sni: sni,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			// Envoy's own default for a client ends at TLS 1.2, in which its certificate would be readable on the way.
			TlsParams: &tlsv3.TlsParameters{
				TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
			},
			AlpnProtocols:                  []string{"h2"},
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{c.secret(certificateSecret, certificateSecretFile)},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext:         &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{san}},
					ValidationContextSdsSecretConfig: c.secret(authoritiesSecret, authoritiesSecretFile),
				},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed},
	}, nil
}

func (c XDSTLS) secret(name, file string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
			Path: filepath.Join(c.Directory, file), WatchedDirectory: &corev3.WatchedDirectory{Path: c.Directory},
		}},
	}}
}

// serverName is what podway's certificate must say, and what it is asked for by.
func serverName(name string) (san *tlsv3.SubjectAltNameMatcher, sni string, err error) {
	kind := tlsv3.SubjectAltNameMatcher_DNS
	switch address, notIP := netip.ParseAddr(name); {
	case notIP == nil:
		kind, name = tlsv3.SubjectAltNameMatcher_IP_ADDRESS, address.String() // as Envoy writes it
	case strings.Contains(name, "://"):
		kind = tlsv3.SubjectAltNameMatcher_URI
	case len(name) > 253 || strings.ContainsAny(name, " /:*"):
		return nil, "", fmt.Errorf("server name %q: want a DNS name, an IP address or a URI such as spiffe://example.org/podway", name)
	default:
		sni = name
	}
	return &tlsv3.SubjectAltNameMatcher{
		SanType: kind, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}},
	}, sni, nil
}

func fromFile(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}

func directoryOf(path string) *corev3.WatchedDirectory {
	return &corev3.WatchedDirectory{Path: filepath.Dir(path)}
}
