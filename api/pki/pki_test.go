package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// certificate makes a self-signed certificate that change has changed.
func certificate(t *testing.T, key crypto.Signer, change func(*x509.Certificate)) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.test"}, DNSNames: []string{"a.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return block("CERTIFICATE", der)
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return der
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func secretOf(chain, key string) *corev1.Secret {
	return &corev1.Secret{Type: corev1.SecretTypeTLS, Data: map[string][]byte{corev1.TLSCertKey: []byte(chain), corev1.TLSPrivateKeyKey: []byte(key)}}
}

// TestKeysAreOfOneForm has what Go takes for a key, most of which Envoy refuses as it is written.
func TestKeysAreOfOneForm(t *testing.T) {
	elliptic256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(elliptic256)
	require.NoError(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsa2048)
	headed := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1, Headers: map[string]string{"Comment": "mine"}}))
	for _, test := range []struct {
		name, text string
		key        crypto.Signer
	}{
		{"PKCS 8", block("PRIVATE KEY", pkcs8(t, elliptic256)), elliptic256},
		{"SEC 1", block("EC PRIVATE KEY", sec1), elliptic256},
		{"SEC 1, called PKCS 8", block("PRIVATE KEY", sec1), elliptic256},
		{"with headers", headed, elliptic256},
		{"with a name of its own", block("MY PRIVATE KEY", sec1), elliptic256},
		{"behind others", "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + block("EC PRIVATE KEY", sec1), elliptic256},
		{"PKCS 1", block("RSA PRIVATE KEY", pkcs1), rsa2048},
		{"PKCS 1, called PKCS 8", block("PRIVATE KEY", pkcs1), rsa2048},
		{"RSA, called EC", block("EC PRIVATE KEY", pkcs8(t, rsa2048)), rsa2048},
	} {
		t.Run(test.name, func(t *testing.T) {
			chain := certificate(t, test.key, nil)
			pair, fault := ReadPair(secretOf("a comment\n"+chain, test.text))
			require.Nil(t, fault)
			require.Equal(t, chain, pair.Chain)
			require.Equal(t, block("PRIVATE KEY", pkcs8(t, test.key)), string(pair.Key))
			require.Nil(t, pair.OfServer)
		})
	}
}

func TestWhatEnvoyRefusesOfAPairIsTold(t *testing.T) {
	key := newECDSA(t)
	text := block("PRIVATE KEY", pkcs8(t, key))
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	threePrimes, err := rsa.GenerateMultiPrimeKey(rand.Reader, 3, 2048) //nolint:staticcheck // somebody may have one
	require.NoError(t, err)
	short, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	good := certificate(t, key, nil)
	for _, test := range []struct {
		name           string
		secret         *corev1.Secret
		code, key, say string
	}{
		{"another type", &corev1.Secret{Type: corev1.SecretTypeOpaque}, CodeInvalidSecretType, "", ` is of type "Opaque"`},
		{"no key", secretOf(good, ""), CodeMissingKey, "tls.key", " has no key tls.key"},
		{"no certificate", secretOf("hello", text), CodeInvalidCertificate, "tls.crt", ", key tls.crt: no PEM block of type CERTIFICATE"},
		{"another key", secretOf(good, block("PRIVATE KEY", pkcs8(t, newECDSA(t)))), CodeMismatchedKeyPair, "tls.key", ": the key in tls.key is not that of the first certificate in tls.crt"},
		{"Ed25519", secretOf(certificate(t, edwards, nil), block("PRIVATE KEY", pkcs8(t, edwards))), CodeUnsupportedKey, "tls.key", " holds a key of type Ed25519, which Envoy refuses"},
		{"P-224", secretOf(certificate(t, short, nil), block("PRIVATE KEY", pkcs8(t, short))), CodeUnsupportedKey, "tls.key", " holds an ECDSA key on P-224, which Envoy refuses"},
		{
			"three primes", secretOf(certificate(t, threePrimes, nil), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(threePrimes))),
			CodeUnsupportedKey, "tls.key", " holds an RSA key of 3 primes, which Envoy refuses",
		},
		{
			"no signatures", secretOf(certificate(t, key, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), text),
			CodeInvalidCertificate, "tls.crt", ": the key usage of the certificate in tls.crt does not allow digital signatures, so that Envoy refuses it",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			pair, fault := ReadPair(test.secret)
			require.Nil(t, pair)
			require.NotNil(t, fault)
			require.Equal(t, []string{test.code, test.key, test.say}, []string{fault.Code, fault.Key, fault.Message})
			require.NotEmpty(t, fault.Remedy)
		})
	}
}

func TestCertificatesThatNoServerCanShow(t *testing.T) {
	key := newECDSA(t)
	text := block("PRIVATE KEY", pkcs8(t, key))
	feature := func(value ...byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{{Id: oidTLSFeature, Value: value}} }
	}
	for _, test := range []struct {
		name   string
		change func(*x509.Certificate)
		say    string
	}{
		{"must-staple", feature(mustStaple...), "must be served with an OCSP response"},
		{"another feature", feature(0x30, 3, 2, 1, 17), ""},
		{"no name", func(c *x509.Certificate) { c.Subject, c.DNSNames = pkix.Name{}, nil }, "has no name at all"},
		{"a common name", func(c *x509.Certificate) { c.DNSNames = nil }, ""},
		{"a name", func(c *x509.Certificate) { c.Subject = pkix.Name{} }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			pair, fault := ReadPair(secretOf(certificate(t, key, test.change), text))
			require.Nil(t, fault)
			if test.say == "" {
				require.Nil(t, pair.OfServer)
				return
			}
			require.NotNil(t, pair.OfServer)
			require.Contains(t, pair.OfServer.Message, test.say)
		})
	}
}

func TestWorseIsWhatWasGood(t *testing.T) {
	key := newECDSA(t)
	text := block("PRIVATE KEY", pkcs8(t, key))
	good := secretOf(certificate(t, key, nil), text)
	bad := secretOf(certificate(t, newECDSA(t), nil), text)
	stapled := secretOf(certificate(t, key, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: oidTLSFeature, Value: mustStaple}}
	}), text)
	trust := func(text string) *corev1.ConfigMap {
		return &corev1.ConfigMap{Data: map[string]string{AuthorityKey: text}}
	}
	authority := certificate(t, key, nil)
	for _, test := range []struct {
		name          string
		before, after any
		code          string
	}{
		{"a pair that falls apart", good, bad, CodeMismatchedKeyPair},
		{"a key that is gone", good, secretOf(authority, ""), CodeMissingKey},
		{"a server's that no server can show any more", good, stapled, CodeInvalidCertificate},
		{"one that never could be", stapled, stapled, ""},
		{"a pair that never was", bad, bad, ""},
		{"a pair that is mended", bad, good, ""},
		{"a renewed one", good, secretOf(authority, text), ""},
		{"another Secret", &corev1.Secret{Type: corev1.SecretTypeOpaque}, &corev1.Secret{Type: corev1.SecretTypeOpaque}, ""},
		{"authorities that break", trust(authority), trust("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), CodeInvalidCertificate},
		{"authorities that are emptied", trust(authority), trust(""), CodeInvalidCertificate},
		{"authorities that are taken out", trust(authority), &corev1.ConfigMap{}, ""},
		{"authorities that never were", trust("x"), trust("y"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			fault := Worse(test.before, test.after)
			if test.code == "" {
				require.Nil(t, fault)
				return
			}
			require.NotNil(t, fault)
			require.Equal(t, test.code, fault.Code)
		})
	}
}
