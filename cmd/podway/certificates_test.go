package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// keyPair is a certificate and its private key, both PEM.
type keyPair struct{ certificate, key string }

var pairs sync.Map // name → func() keyPair

// pair returns the key pair of a name, made once: "expired" is out of date, any other is valid for a day.
func pair(name string) keyPair {
	made, _ := pairs.LoadOrStore(name, sync.OnceValue(func() keyPair { return newPair(name) }))
	return made.(func() keyPair)()
}

func newPair(name string) keyPair {
	from, until := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if name == "expired" {
		from, until = time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"*.example.com"},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return keyPair{
		certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func tlsSecretYAML(namespace, name, certificate, key string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {namespace: %s, name: %s}\nstringData:\n"+
		"  tls.crt: |\n%s  tls.key: |\n%s", namespace, name, indent(certificate), indent(key))
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}
