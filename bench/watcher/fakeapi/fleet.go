package fakeapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/podway/podway/bench/watcher/scene"
)

// Fleet is the API servers of many clusters.
type Fleet struct {
	Clusters []*Cluster
	// CA that signed their certificate, PEM.
	CA []byte
}

// New serves clusters of a size on ports of 127.0.0.1 until the process ends.
func New(size scene.Size) (*Fleet, error) {
	certificate, ca, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	f := &Fleet{CA: ca}
	for number := range size.Clusters {
		c := newCluster(number, size)
		if c.door, err = newDoor(); err != nil {
			return nil, fmt.Errorf("listening: %w", err)
		}
		server := &http.Server{
			Handler: c, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
			HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: 250},
		}
		go func() { _ = server.ServeTLS(c.door, "", "") }() // the process ends with it
		f.Clusters = append(f.Clusters, c)
	}
	return f, nil
}

// Addresses are where the clusters are, HOST:PORT.
func (f *Fleet) Addresses() []string {
	out := make([]string, len(f.Clusters))
	for i, c := range f.Clusters {
		out[i] = c.door.address
	}
	return out
}

// Kubeconfig of one of them.
func Kubeconfig(address string, ca []byte) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: it, cluster: {server: "https://%s", certificate-authority-data: %s}}]
users: [{name: who, user: {token: anybody}}]
contexts: [{name: now, context: {cluster: it, user: who}}]
current-context: now
`, address, base64(ca))
}

func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake API server"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
