package files

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pairOf makes a self-signed certificate and its key, as PEM.
func pairOf(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func tlsSecret(certificate, key string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata:\n  name: a\n  namespace: edge\ndata:\n  tls.crt: %s\n  tls.key: %s\n",
		base64.StdEncoding.EncodeToString([]byte(certificate)), base64.StdEncoding.EncodeToString([]byte(key)))
}

// TestCertificatesThatBreakStayInForceAsTheyWere: listeners and tunnels that use them would not be in force without.
func TestCertificatesThatBreakStayInForceAsTheyWere(t *testing.T) {
	firstCertificate, firstKey := pairOf(t)
	secondCertificate, secondKey := pairOf(t)
	trust := func(text string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: edge\ndata:\n  ca.crt: %q\n", text)
	}
	f := follow(t, directory(t, map[string]string{
		"secret.yaml": tlsSecret(firstCertificate, firstKey), "trust.yaml": trust(firstCertificate),
	}))
	first := f.until(func(s State) bool { return s.Config.Secrets[edge("a")] != nil && s.Config.ConfigMaps[edge("a")] != nil })
	require.Empty(t, first.Config.Problems)

	write(t, f.path("secret.yaml"), "# new\n"+tlsSecret(secondCertificate, firstKey))
	state := f.untilProblem("secret.yaml:10: error MismatchedKeyPair: Secret edge/a data[tls.key]: the key in tls.key is not that of the first certificate in tls.crt; " +
		"the object's last good version stays in force; put the certificate and the key that belong together there, the server's own certificate first")
	require.Same(t, first.Config.Secrets[edge("a")], state.Config.Secrets[edge("a")])

	write(t, f.path("trust.yaml"), trust("none"))
	state = f.untilProblem("trust.yaml:7: error InvalidCertificate: ConfigMap edge/a data[ca.crt]: key ca.crt: no PEM block of type CERTIFICATE; " +
		"the object's last good version stays in force; put one or more certificates there, as PEM")
	require.Same(t, first.Config.ConfigMaps[edge("a")], state.Config.ConfigMaps[edge("a")])

	// It is compared with what is in force, however often it is read.
	write(t, f.path("secret.yaml"), "# newer\n"+tlsSecret(secondCertificate, ""))
	state = f.untilProblem("secret.yaml:10: error MissingKey: Secret edge/a data[tls.key]: it has no key tls.key; the object's last good version stays in force")
	require.Same(t, first.Config.Secrets[edge("a")], state.Config.Secrets[edge("a")])

	write(t, f.path("secret.yaml"), tlsSecret(secondCertificate, secondKey))
	write(t, f.path("trust.yaml"), trust(secondCertificate))
	state = f.until(func(s State) bool { return len(s.Config.Problems) == 0 })
	require.Equal(t, secondKey, string(state.Config.Secrets[edge("a")].Data["tls.key"]))
	require.Equal(t, secondCertificate, state.Config.ConfigMaps[edge("a")].Data["ca.crt"])
}

// TestCertificatesThatNeverWereGoodAreNotJudged: they may be for others, and the translator tells where something refers to them.
func TestCertificatesThatNeverWereGoodAreNotJudged(t *testing.T) {
	certificate, key := pairOf(t)
	other, _ := pairOf(t)
	state := load(t, directory(t, map[string]string{"a.yaml": tlsSecret(other, key)}))
	require.Empty(t, state.Config.Problems)
	require.Equal(t, other, string(state.Config.Secrets[edge("a")].Data["tls.crt"]))
	require.NotEqual(t, certificate, other)
}
