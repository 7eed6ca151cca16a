package credential

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
)

var errNotPEM = errors.New("no PEM")

// certificatesOf reads all certificates of PEM. Other blocks are skipped, as TLS does.
func certificatesOf(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(text) > 0 {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, certificate)
	}
	if len(out) == 0 {
		return nil, errNotPEM
	}
	return out, nil
}

// derOf is the certificates without the way that they are written down; text that is no PEM stays what it is.
func derOf(text []byte) []byte {
	certificates, err := certificatesOf(text)
	if err != nil {
		return text
	}
	var out []byte
	for _, certificate := range certificates {
		out = append(out, certificate.Raw...)
	}
	return out
}
