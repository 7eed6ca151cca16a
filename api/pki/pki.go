// Package pki reads the certificates and keys that Secrets and ConfigMaps hold, and asks of them what Envoy will. It knows no resource of Envoy and no
// reference to them. Its messages hold no part of a key.
package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// AuthorityKey is where Secrets and ConfigMaps have authorities.
const AuthorityKey = "ca.crt"

// The codes of faults.
const (
	// CodeMissingKey: a Secret or ConfigMap lacks a key.
	CodeMissingKey = "MissingKey"
	// CodeInvalidSecretType: a Secret is not of type kubernetes.io/tls.
	CodeInvalidSecretType = "InvalidSecretType"
	// CodeInvalidCertificate: PEM that should be a certificate is not, or is one that Envoy refuses.
	CodeInvalidCertificate = "InvalidCertificate"
	// CodeInvalidKey: PEM that should be a private key is not.
	CodeInvalidKey = "InvalidKey"
	// CodeMismatchedKeyPair: a key is not that of the certificate beside it.
	CodeMismatchedKeyPair = "MismatchedKeyPair"
	// CodeUnsupportedKey: Envoy refuses keys of that type or size.
	CodeUnsupportedKey = "UnsupportedKey"
)

// Fault is a Problem that has no place yet. Key is the one at fault, if it is one. Message goes on after the name of the object.
type Fault struct{ Code, Key, Message, Remedy string }

// Dates are the latest NotBefore and the earliest NotAfter of certificates.
type Dates struct{ NotBefore, NotAfter time.Time }

// Authorities are certificates of authorities.
type Authorities struct {
	// PEM of the certificates alone.
	PEM string
	Dates
}

// ReadAuthorities reads ca.crt of a Secret or ConfigMap. Only the certificates in it are passed on: a key that lies beside them is not for Envoys.
func ReadAuthorities(object any) (*Authorities, *Fault) {
	text, found := authorities(object)
	if !found {
		return nil, &Fault{CodeMissingKey, AuthorityKey, " has no key " + AuthorityKey, "put the authorities' certificates there, as PEM"}
	}
	made := &Authorities{}
	var err error
	if made.PEM, err = made.certificates(text); err != nil {
		return nil, &Fault{CodeInvalidCertificate, AuthorityKey, fmt.Sprintf(", key %s: %v", AuthorityKey, err), "put one or more certificates there, as PEM"}
	}
	return made, nil
}

func authorities(object any) (text []byte, found bool) {
	switch object := object.(type) {
	case *corev1.Secret:
		text, found = object.Data[AuthorityKey]
	case *corev1.ConfigMap:
		var value string
		value, found = object.Data[AuthorityKey]
		text = []byte(value)
	}
	return text, found
}

// certificates are all certificates of a PEM file, and their dates. There must be one.
func (d *Dates) certificates(data []byte) (string, error) {
	var out strings.Builder
	for count := 1; ; {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", fmt.Errorf("certificate %d is not one: %w", count, err)
		}
		d.narrow(certificate)
		count++
		out.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
	if out.Len() == 0 {
		return "", errNoCertificate
	}
	return out.String(), nil
}

var errNoCertificate = errors.New("no PEM block of type CERTIFICATE")

func (d *Dates) narrow(certificate *x509.Certificate) {
	if d.NotBefore.Before(certificate.NotBefore) {
		d.NotBefore = certificate.NotBefore
	}
	if d.NotAfter.IsZero() || certificate.NotAfter.Before(d.NotAfter) {
		d.NotAfter = certificate.NotAfter
	}
}

// Worse is what is wrong with an object that was good before: a pair that does not belong together any more, or authorities that are none. It tells nothing of
// what was not good before, or is for something else, such as a Secret of another type.
func Worse(before, after any) *Fault {
	if was, ok := before.(*corev1.Secret); ok {
		if pair, fault := ReadPair(was); fault == nil {
			is, fault := ReadPair(after.(*corev1.Secret))
			switch {
			case fault != nil:
				return fault
			case pair.OfServer == nil && is.OfServer != nil:
				return is.OfServer
			}
		}
	}
	if _, found := authorities(after); !found {
		return nil
	}
	if _, fault := ReadAuthorities(before); fault != nil {
		return nil
	}
	_, fault := ReadAuthorities(after)
	return fault
}
