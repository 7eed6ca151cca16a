package xds

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxFileBytes bounds a file of certificates.
const maxFileBytes = 1 << 20

// fileGroup is files that are taken into use together, or not at all.
type fileGroup struct {
	paths []string
	// load takes contents into use. It changes nothing where it fails.
	load func(contents [][]byte) error
	// used is what load took last, tried what it was given last, and seen what was there when the files were looked at last.
	used, tried, seen digest
	// fault is why what is there is not in use.
	fault error
}

// digest tells contents apart, and ways not to be read.
type digest [sha256.Size]byte

// lookResult is what came of looking at the files.
type lookResult int

const (
	lookNothing lookResult = iota
	lookLoaded
	lookFailed
)

// first takes what is there into use.
func (g *fileGroup) first() error {
	contents, seen, err := g.read()
	if err != nil {
		return err
	}
	if err := g.load(contents); err != nil {
		return err
	}
	g.used, g.tried, g.seen = seen, seen, seen
	return nil
}

// look takes a change into use once it has been seen twice: what is being written is different each time.
func (g *fileGroup) look() lookResult {
	contents, seen, err := g.read()
	settled := seen == g.seen
	g.seen = seen
	switch {
	case seen == g.used:
		g.fault, g.tried = nil, seen
		return lookNothing
	case !settled || seen == g.tried:
		return lookNothing
	}
	g.tried = seen
	if err == nil {
		err = g.load(contents)
	}
	if g.fault = err; err != nil {
		return lookFailed
	}
	g.used = seen
	return lookLoaded
}

func (g *fileGroup) read() ([][]byte, digest, error) {
	sum := sha256.New()
	var contents [][]byte
	var failed error
	for _, path := range g.paths {
		content, err := readFile(path)
		if err != nil {
			failed = errors.Join(failed, err)
			content = []byte(err.Error())
		}
		contents = append(contents, content)
		_, _ = fmt.Fprintf(sum, "%t %d ", err != nil, len(content)) // a hash takes all
		_, _ = sum.Write(content)
	}
	return contents, digest(sum.Sum(nil)), failed
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("reading certificates: %s has more than %d bytes", path, maxFileBytes)
	}
	return content, nil
}

// parsePair reads a server's certificate and key. No part of the key is in an error.
func parsePair(certificatePath, keyPath string, certificate, key []byte) (*tls.Certificate, error) {
	if _, err := parseCertificates(certificatePath, certificate); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s is not the private key of the certificate in %s, or is no unencrypted key in PEM", keyPath, certificatePath)
	}
	usages := pair.Leaf.ExtKeyUsage
	if len(usages) > 0 && !slices.Contains(usages, x509.ExtKeyUsageServerAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny) {
		return nil, fmt.Errorf("the certificate in %s is not meant for a server: its extended key usage lacks serverAuth", certificatePath)
	}
	return &pair, nil
}

func parseBundle(path string, content []byte) ([]*x509.Certificate, error) {
	authorities, err := parseCertificates(path, content)
	if err != nil {
		return nil, err
	}
	for _, authority := range authorities {
		if !authority.IsCA {
			return nil, fmt.Errorf("%s holds the certificate %q, which is no authority's", path, short(authority.Subject.String()))
		}
	}
	return authorities, nil
}

// parseCertificates reads PEM in which there are certificates only.
func parseCertificates(path string, content []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for {
		block, rest := pem.Decode(content)
		if block == nil {
			break
		}
		content = rest
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds a %s; certificates alone belong there", path, block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s holds a certificate that cannot be read: %w", path, err)
		}
		certificates = append(certificates, certificate)
	}
	switch {
	case bytes.Contains(content, []byte("-----BEGIN")):
		return nil, fmt.Errorf("%s holds PEM that is cut off or malformed", path)
	case len(certificates) == 0:
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return certificates, nil
}
