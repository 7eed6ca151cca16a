// Package devca makes the certificates with which podway and its Envoys meet where there is no certificate authority yet:
// on a desk, in a test. It knows X.509 and nothing of podway; it does no I/O.
package devca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// backdate is how long before it was made a certificate is valid already, for clocks that differ.
const backdate = 5 * time.Minute

// Authority is a certificate authority. All keys here are ECDSA on P-256.
type Authority struct {
	Certificate *x509.Certificate
	// PEM is the certificate.
	PEM []byte
	key *ecdsa.PrivateKey
}

// Leaf says what a certificate is for.
type Leaf struct {
	CommonName string
	DNSNames   []string
	IPs        []net.IP
	URIs       []*url.URL
	// NotBefore is a little before now if zero. NotAfter is not after that of the authority.
	NotBefore, NotAfter time.Time
	// Server is true for a server's certificate, false for a client's.
	Server bool
}

// Pair is a certificate and its private key, both PEM.
type Pair struct {
	Certificate, Key []byte
}

// New makes an authority that signs until a time.
func New(commonName string, until time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-backdate), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority's certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's certificate back: %w", err)
	}
	return &Authority{Certificate: certificate, PEM: encode("CERTIFICATE", der), key: key}, nil
}

// Parse reads an authority back from the PEM of its certificate and of its key.
func Parse(certificate, key []byte) (*Authority, error) {
	parsed, err := ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	if !parsed.IsCA {
		return nil, errors.New("it is no certificate of an authority")
	}
	block, _ := pem.Decode(key)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("the key is no PEM block of type PRIVATE KEY")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the key cannot be read") // what the parser says may quote it
	}
	signer, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key is a %T; want one for ECDSA", private)
	}
	if !signer.PublicKey.Equal(parsed.PublicKey) {
		return nil, errors.New("the key is not that of the certificate")
	}
	return &Authority{Certificate: parsed, PEM: encode("CERTIFICATE", parsed.Raw), key: signer}, nil
}

// ParseCertificate reads the first certificate of some PEM.
func ParseCertificate(certificate []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the certificate is no PEM block of type CERTIFICATE")
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return parsed, nil
}

// KeyPEM is the authority's private key, PKCS #8.
func (a *Authority) KeyPEM() ([]byte, error) { return keyPEM(a.key) }

// Issue makes a key and signs a certificate for it.
func (a *Authority) Issue(leaf Leaf) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: leaf.CommonName},
		DNSNames: leaf.DNSNames, IPAddresses: leaf.IPs, URIs: leaf.URIs,
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if leaf.Server {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-backdate)
	}
	if template.NotAfter.After(a.Certificate.NotAfter) {
		template.NotAfter = a.Certificate.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("signing a certificate: %w", err)
	}
	private, err := keyPEM(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: encode("CERTIFICATE", der), Key: private}, nil
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return encode("PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
