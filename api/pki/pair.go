package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Pair is a certificate chain and its key.
type Pair struct {
	// Chain is PEM, of the certificates alone.
	Chain string
	// Key is PEM, of the form PKCS #8: Go takes a key also under the name of another form, and with headers, and Envoy does not.
	Key []byte
	Dates
	// OfServer is what is wrong with the certificate for a server, though a client may show it.
	OfServer *Fault
}

// ReadPair reads tls.crt and tls.key of a Secret, and asks of them what Envoy will.
func ReadPair(secret *corev1.Secret) (*Pair, *Fault) {
	if secret.Type != corev1.SecretTypeTLS {
		return nil, &Fault{
			Code: CodeInvalidSecretType, Message: fmt.Sprintf(" is of type %q", secret.Type),
			Remedy: "use a Secret of type " + string(corev1.SecretTypeTLS) + ", as `kubectl create secret tls` makes it",
		}
	}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(secret.Data[key]) == 0 {
			return nil, &Fault{CodeMissingKey, key, " has no key " + key, "put the certificate chain in tls.crt and its key in tls.key, as PEM"}
		}
	}
	made := &Pair{}
	var err error
	if made.Chain, err = made.certificates(secret.Data[corev1.TLSCertKey]); err != nil {
		return nil, &Fault{CodeInvalidCertificate, corev1.TLSCertKey, fmt.Sprintf(", key %s: %v", corev1.TLSCertKey, err), "put the certificate chain there, as PEM"}
	}
	pair, err := tls.X509KeyPair([]byte(made.Chain), secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, pairFault(err)
	}
	if unsupported := unsupportedKey(&pair); unsupported != "" {
		return nil, &Fault{
			CodeUnsupportedKey, corev1.TLSPrivateKeyKey, fmt.Sprintf(" holds %s, which Envoy refuses", unsupported),
			"use RSA with 2048 bits or more, or ECDSA with P-256, P-384 or P-521",
		}
	}
	if unusable := unusableLeaf(pair.Leaf); unusable != nil {
		return nil, unusable
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, pairFault(err)
	}
	made.Key, made.OfServer = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), unusableServer(pair.Leaf)
	return made, nil
}

// pairFault tells a key that is not one from one of another certificate. The errors of crypto/tls hold no part of the key.
func pairFault(err error) *Fault {
	if strings.Contains(err.Error(), "does not match") {
		return &Fault{CodeMismatchedKeyPair, corev1.TLSPrivateKeyKey, ": the key in tls.key is not that of the first certificate in tls.crt", "put the certificate and the key that belong together there, the server's own certificate first"}
	}
	return &Fault{CodeInvalidKey, corev1.TLSPrivateKeyKey, fmt.Sprintf(", key %s: %v", corev1.TLSPrivateKeyKey, err), "put the private key there, as PEM and not encrypted"}
}

// unsupportedKey is the kind of a key that Envoy refuses, empty for others.
func unsupportedKey(pair *tls.Certificate) string {
	switch key := pair.PrivateKey.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < 2048 {
			return fmt.Sprintf("an RSA key of %d bits", bits)
		}
		if primes := len(key.Primes); primes > 2 {
			return fmt.Sprintf("an RSA key of %d primes", primes)
		}
	case *ecdsa.PrivateKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return "an ECDSA key on " + key.Curve.Params().Name
		}
	default:
		return "a key of type " + pair.Leaf.PublicKeyAlgorithm.String()
	}
	return ""
}

// unusableLeaf is why Envoy would refuse a certificate with a good key.
func unusableLeaf(leaf *x509.Certificate) *Fault {
	if leaf.PublicKeyAlgorithm == x509.ECDSA && leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return &Fault{
			CodeInvalidCertificate, corev1.TLSCertKey, ": the key usage of the certificate in tls.crt does not allow digital signatures, so that Envoy refuses it",
			"have one issued with the key usage digitalSignature, or without a key usage",
		}
	}
	return nil
}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	// oidTLSFeature is the extension of RFC 7633. With the value mustStaple, a server has to send a proof that its certificate is not revoked.
	oidTLSFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	mustStaple    = []byte{0x30, 3, 2, 1, 5}
)

// unusableServer is why Envoy would refuse a certificate for a listener.
func unusableServer(leaf *x509.Certificate) *Fault {
	named := leaf.Subject.CommonName != ""
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(oidTLSFeature) && bytes.Equal(extension.Value, mustStaple) {
			return &Fault{
				CodeInvalidCertificate, corev1.TLSCertKey, ": the certificate in tls.crt must be served with an OCSP response (must-staple), which podway has none of, so that Envoy refuses it",
				"have one issued without must-staple",
			}
		}
		named = named || extension.Id.Equal(oidSubjectAltName)
	}
	if !named {
		return &Fault{CodeInvalidCertificate, corev1.TLSCertKey, ": the certificate in tls.crt has no name at all, so that Envoy refuses it", "have one issued for the listener's host names"}
	}
	return nil
}
