package devca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIssuedCertificatesVerifyAndSayWhatTheyAreFor(t *testing.T) {
	authority, err := New("test", time.Now().Add(time.Hour))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority.PEM))
	identity := &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/gateway/edge/front"}
	for name, test := range map[string]struct {
		leaf  Leaf
		usage x509.ExtKeyUsage
	}{
		"a client": {Leaf{URIs: []*url.URL{identity}, NotAfter: time.Now().Add(time.Minute)}, x509.ExtKeyUsageClientAuth},
		"a server": {Leaf{DNSNames: []string{"podway"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(48 * time.Hour), Server: true}, x509.ExtKeyUsageServerAuth},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := authority.Issue(test.leaf)
			require.NoError(t, err)
			loaded, err := tls.X509KeyPair(pair.Certificate, pair.Key)
			require.NoError(t, err)
			require.Equal(t, elliptic.P256(), loaded.PrivateKey.(*ecdsa.PrivateKey).Curve)
			_, err = loaded.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{test.usage}})
			require.NoError(t, err)
			require.Equal(t, test.leaf.URIs, loaded.Leaf.URIs)
			require.Equal(t, test.leaf.DNSNames, loaded.Leaf.DNSNames)
			require.False(t, loaded.Leaf.NotAfter.After(authority.Certificate.NotAfter), "no certificate outlives its authority")
			require.False(t, loaded.Leaf.IsCA)
		})
	}
}

func TestAuthorityIsReadBack(t *testing.T) {
	authority, err := New("test", time.Now().Add(time.Hour))
	require.NoError(t, err)
	key, err := authority.KeyPEM()
	require.NoError(t, err)
	again, err := Parse(authority.PEM, key)
	require.NoError(t, err)
	require.Equal(t, authority.PEM, again.PEM)

	other, err := New("other", time.Now().Add(time.Hour))
	require.NoError(t, err)
	leaf, err := authority.Issue(Leaf{NotAfter: time.Now().Add(time.Minute)})
	require.NoError(t, err)
	for want, pair := range map[string]Pair{
		"the key is not that of the certificate":                      {other.PEM, key},
		"it is no certificate of an authority":                        {leaf.Certificate, leaf.Key},
		"the certificate is no PEM block of type CERTIFICATE":         {key, key},
		"the key is no PEM block of type PRIVATE KEY":                 {authority.PEM, nil},
		"the key cannot be read":                                      {authority.PEM, encode("PRIVATE KEY", []byte("x"))},
		"the certificate cannot be read: x509: malformed certificate": {encode("CERTIFICATE", []byte("x")), key},
	} {
		_, err := Parse(pair.Certificate, pair.Key)
		require.EqualError(t, err, want)
	}
}
