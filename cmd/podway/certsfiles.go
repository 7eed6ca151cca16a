package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/xds/devca"
)

const dateTime = "2006-01-02 15:04 MST"

func pathIn(directory, name string) string { return filepath.Join(directory, name) }

// makeCertificates makes what is not there, and says of each whether it was made or kept. Nothing is written where one of them is
// there and is something else, unless force is true.
func makeCertificates(directory string, leaves []leaf, force bool, now time.Time) (said string, err error) {
	authority, isNew, err := openAuthority(directory, now)
	if err != nil {
		return "", err
	}
	var keep []bool
	for _, leaf := range leaves {
		kept, err := fits(directory, leaf, authority, now)
		if err != nil && !force {
			return "", err
		}
		keep = append(keep, kept && !force)
	}
	var out strings.Builder
	if err := saveAuthority(directory, authority, isNew); err != nil {
		return "", err
	}
	tell(&out, directory, "ca", "", authority.Certificate, !isNew)
	for i, leaf := range leaves {
		path := pathIn(directory, leaf.name)
		if !keep[i] {
			pair, err := authority.Issue(leaf.Leaf)
			if err != nil {
				return "", err
			}
			if err := savePair(path, pair); err != nil {
				return "", err
			}
		}
		certificate, err := readCertificate(path + ".crt")
		if err != nil {
			return "", err
		}
		tell(&out, directory, leaf.name, " for "+strings.Join(sans(certificate), ", "), certificate, keep[i])
	}
	return out.String(), nil
}

func tell(out *strings.Builder, directory, name, what string, certificate *x509.Certificate, kept bool) {
	verb := "made"
	if kept {
		verb = "kept"
	}
	fmt.Fprintf(out, "%s %s%s, good until %s\n", verb, pathIn(directory, name+".crt"), what, certificate.NotAfter.UTC().Format(dateTime))
}

// openAuthority reads the authority of the directory, or makes one without writing it.
func openAuthority(directory string, now time.Time) (authority *devca.Authority, isNew bool, err error) {
	path := pathIn(directory, "ca")
	certificate, certificateErr := os.ReadFile(path + ".crt")
	key, keyErr := os.ReadFile(path + ".key")
	if errors.Is(certificateErr, os.ErrNotExist) && errors.Is(keyErr, os.ErrNotExist) {
		authority, err = devca.New("podway development authority", now.Add(maxLifetime))
		return authority, true, err
	}
	if err := errors.Join(certificateErr, keyErr); err != nil {
		return nil, false, fmt.Errorf("reading the authority, which is two files: %w; remove the other one to begin anew", err)
	}
	authority, err = devca.Parse(certificate, key)
	if err != nil {
		return nil, false, fmt.Errorf("%s.crt and .key are no authority of podway certs: %w; choose another directory", path, err)
	}
	if end := authority.Certificate.NotAfter; now.After(end) {
		return nil, false, fmt.Errorf("the authority %s.crt expired on %s; remove it and %s.key to begin anew", path, end.UTC().Format(dateTime), path)
	}
	return authority, false, nil
}

func saveAuthority(directory string, authority *devca.Authority, isNew bool) error {
	if !isNew {
		return nil
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	key, err := authority.KeyPEM()
	if err != nil {
		return err
	}
	return savePair(pathIn(directory, "ca"), devca.Pair{Certificate: authority.PEM, Key: key})
}

// savePair writes the key first: a certificate that is there has its key.
func savePair(path string, pair devca.Pair) error {
	if err := replaceFile(path+".key", pair.Key, 0o600); err != nil {
		return err
	}
	return replaceFile(path+".crt", pair.Certificate, 0o644)
}

// fits says whether the files of a certificate are there already and are what is asked for. It fails where they are something else.
func fits(directory string, leaf leaf, authority *devca.Authority, now time.Time) (bool, error) {
	path := pathIn(directory, leaf.name)
	content, certificateErr := os.ReadFile(path + ".crt")
	key, keyErr := os.ReadFile(path + ".key")
	if errors.Is(certificateErr, os.ErrNotExist) && errors.Is(keyErr, os.ErrNotExist) {
		return false, nil
	}
	wrong := ""
	if errors.Join(certificateErr, keyErr) != nil {
		wrong = "lacks its certificate or its key, or cannot be read"
	} else if pair, err := tls.X509KeyPair(content, key); err != nil {
		wrong = "is no certificate with its key"
	} else {
		wrong = differs(pair.Leaf, leaf, authority, now)
	}
	if wrong != "" {
		return false, fmt.Errorf("%s.crt is there and %s; say --force to replace it, or choose another directory", path, wrong)
	}
	return true, nil
}

// differs says what is wrong with a certificate; nothing is empty.
func differs(is *x509.Certificate, want leaf, authority *devca.Authority, now time.Time) string {
	wanted := sans(&x509.Certificate{DNSNames: want.DNSNames, IPAddresses: want.IPs, URIs: want.URIs})
	switch {
	case is.CheckSignatureFrom(authority.Certificate) != nil:
		return "is of another authority"
	case now.After(is.NotAfter):
		return "expired on " + is.NotAfter.UTC().Format(dateTime)
	case !slices.Equal(sans(is), wanted):
		return "is for " + strings.Join(sans(is), ", ") + " rather than " + strings.Join(wanted, ", ")
	}
	return ""
}

// sans are the names of a certificate.
func sans(certificate *x509.Certificate) []string {
	names := slices.Clone(certificate.DNSNames)
	for _, address := range certificate.IPAddresses {
		names = append(names, address.String())
	}
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	return names
}

func readCertificate(path string) (*x509.Certificate, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	return devca.ParseCertificate(content)
}
