package translator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestCertificateThatNoServerCanShowCostsItsListener, and a client may show it all the same.
func TestCertificateThatNoServerCanShowCostsItsListener(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := mustPicture(t, []byte(gatewayClass+`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: edge}
spec:
  gatewayClassName: podway
  listeners:
  - {name: stapled, port: 8443, protocol: HTTPS, hostname: a.test, tls: {certificateRefs: [{name: stapled}]}}
  - {name: plain, port: 8080, protocol: HTTP}
---
apiVersion: podway.dev/v1alpha1
kind: Tunnel
metadata: {name: t, namespace: edge}
spec: {addresses: [{address: 127.0.0.1, port: 1}], tls: {insecureSkipVerify: true, clientCertificateRef: {name: stapled}}}
`))
	p.cfg.Secrets = map[types.NamespacedName]*corev1.Secret{{Namespace: "edge", Name: "stapled"}: {
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
		},
	}}
	problems := Translate(p.cfg, nil).Problems()
	const want = "error InvalidCertificate: Gateway edge/gw spec.listeners[0].tls.certificateRefs[0]: Secret edge/stapled: the certificate in tls.crt must be served with " +
		"an OCSP response (must-staple), which podway has none of, so that Envoy refuses it; have one issued without must-staple"
	if len(problems) != 1 || problems[0].String() != want {
		t.Errorf("the problems are %v", problems)
	}
}
