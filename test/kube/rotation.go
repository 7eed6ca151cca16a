package kubetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// RotateAuthority begins to go over to a new authority: CA is that of both from then on, and with it what is made of it. The API server shows what it
// did until ShowCertificate.
func (c *Cluster) RotateAuthority() {
	c.t.Helper()
	c.fault("rotating the authority", func() error {
		ca, err := newAuthority(c.Name + "-next-ca")
		if err != nil {
			return err
		}
		ca.pem = slices.Concat(c.reached().authority.pem, ca.pem)
		return c.trust(ca)
	})
}

// ForgetAuthorities ends a rotation: CA is that of the newest alone.
func (c *Cluster) ForgetAuthorities() {
	c.t.Helper()
	c.fault("forgetting authorities", func() error {
		ca := *c.reached().authority
		ca.pem = encodePEM("CERTIFICATE", ca.cert.Raw)
		return c.trust(&ca)
	})
}

// ShowCertificate gives the API server that runs another certificate, of the newest authority, which lasts so long. It takes it up by itself, some time later.
func (c *Cluster) ShowCertificate(lifetime time.Duration) {
	c.t.Helper()
	c.fault("changing the certificate", func() error {
		pair, err := c.reached().authority.sign(c.Name, lifetime, serve)
		if err != nil {
			return err
		}
		if err := c.write("server.crt", pair.certificate); err != nil {
			return err
		}
		return c.write("server.key", pair.key)
	})
}

// KubeconfigByCertificate is one for a user whom a certificate identifies that lasts so long.
func (c *Cluster) KubeconfigByCertificate(server, user string, lifetime time.Duration) []byte {
	c.t.Helper()
	pair, err := c.clients.sign(user, lifetime, func(cert *x509.Certificate) {
		cert.KeyUsage, cert.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	if err != nil {
		c.t.Fatalf("%s: %v", c.Name, err)
	}
	content, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"it": {Server: server, CertificateAuthorityData: c.CA()}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"who": {ClientCertificateData: pair.certificate, ClientKeyData: pair.key}},
		Contexts:       map[string]*clientcmdapi.Context{"now": {Cluster: "it", AuthInfo: "who"}},
		CurrentContext: "now",
	})
	if err != nil {
		c.t.Fatalf("%s: writing a kubeconfig: %v", c.Name, err)
	}
	return content
}

// writeClientCA makes the authority of clients.
func (c *Cluster) writeClientCA() error {
	ca, err := newAuthority(c.Name + "-clients")
	if err != nil {
		return err
	}
	c.clients = ca
	return c.write("clients.crt", ca.pem)
}

// sign makes a certificate that lasts so long.
func (a *authority) sign(name string, lifetime time.Duration, change func(*x509.Certificate)) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("making a certificate: %w", err)
	}
	template, err := certificate(name)
	if err != nil {
		return keyPair{}, err
	}
	template.NotAfter = time.Now().Add(lifetime)
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("making a certificate: %w", err)
	}
	private, err := privatePEM(key)
	return keyPair{certificate: encodePEM("CERTIFICATE", der), key: private}, err
}
