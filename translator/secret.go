package translator

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
)

const (
	kindSecret    = "Secret"
	kindConfigMap = "ConfigMap"
	kindHTTPRoute = "HTTPRoute"
	authorityKey  = "ca.crt"
)

// pemKey names what is made of a Secret or ConfigMap: a validation context of
// its authorities, or the certificate and key of a Secret.
type pemKey struct {
	kind      string
	name      types.NamespacedName
	authority bool
}

// pemFile is what was parsed: a resource, or why there is none.
type pemFile struct {
	// object is what it was parsed from, to tell whether it is still that; nil where it is missing.
	object   any
	resource *api.Resource
	fault    *fault
	// notBefore is the latest, notAfter the earliest of its certificates' dates.
	notBefore, notAfter time.Time
	// authorities is the PEM of the certificates alone.
	authorities string
}

// fault is a Problem that has no place yet.
type fault struct{ code, message, remedy string }

func (f *fault) problem(severity api.Severity, owner api.ObjectRef, field string) *api.Problem {
	return &api.Problem{Code: f.code, Severity: severity, Object: owner, Field: field, Message: f.message, Remedy: f.remedy}
}

// tlsSecret makes the SDS Secret secret/NAMESPACE/NAME of a Secret of type
// kubernetes.io/tls that a field of owner names. Whether owner may use it is not
// asked here. It returns a resource, a Problem of severity Error and no
// resource, or both where the certificate is good but out of date. The
// Problem's Generation is the caller's to set.
func (in *input) tlsSecret(owner api.ObjectRef, field string, ref types.NamespacedName) (*api.Resource, *api.Problem) {
	return in.pem(pemKey{kind: kindSecret, name: ref}).use(owner, field, in.cfg.Now)
}

// use is the resource, and what is wrong with it now.
func (f *pemFile) use(owner api.ObjectRef, field string, now time.Time) (*api.Resource, *api.Problem) {
	if f.fault != nil {
		return nil, f.fault.problem(api.Error, owner, field)
	}
	if outdated := f.outdated(now); outdated != nil {
		return f.resource, outdated.problem(api.Warning, owner, field)
	}
	return f.resource, nil
}

// outdated is what is wrong with the dates. Envoys get the certificate all the
// same: a client may be told to accept it, and theirs is not podway's clock.
func (f *pemFile) outdated(now time.Time) *fault {
	const date = "2006-01-02 15:04 MST"
	switch {
	case !now.Before(f.notAfter):
		return &fault{
			codeCertificateExpired, fmt.Sprintf("a certificate in %s expired on %s", f.resource.Owners[0].ObjectRef, f.notAfter.UTC().Format(date)),
			"renew the certificate",
		}
	case now.Before(f.notBefore):
		return &fault{
			codeCertificateNotYetValid, fmt.Sprintf("a certificate in %s is not valid before %s", f.resource.Owners[0].ObjectRef, f.notBefore.UTC().Format(date)),
			"use a certificate that is valid now, or correct the clock",
		}
	}
	return nil
}

// pem parses an object once in a translation, and not again while it is the same object.
func (in *input) pem(key pemKey) *pemFile {
	if known := in.pems[key]; known != nil {
		return known
	}
	old := in.oldPEMs[key]
	if old == nil || old.object != in.pemObject(key) {
		made := in.parsePEM(key)
		if old != nil {
			made.resource = keep(old.resource, made.resource)
		}
		old = made
	}
	in.pems[key] = old
	return old
}

// rememberedPEMs are those parsed in this translation, and older ones that are still the same.
func (in *input) rememberedPEMs() map[pemKey]*pemFile {
	if in.surroundingsStay && len(in.pems) == 0 {
		return in.oldPEMs
	}
	for key, old := range in.oldPEMs {
		if _, used := in.pems[key]; !used && old.object != nil && old.object == in.pemObject(key) {
			in.pems[key] = old
		}
	}
	return in.pems
}

func (in *input) pemObject(key pemKey) any {
	if key.kind == kindSecret {
		if secret := in.cfg.Secrets[key.name]; secret != nil {
			return secret
		}
	} else if configMap := in.cfg.ConfigMaps[key.name]; configMap != nil {
		return configMap
	}
	return nil
}

func (in *input) parsePEM(key pemKey) *pemFile {
	file := &pemFile{object: in.pemObject(key)}
	what := key.kind + " " + key.name.String()
	if file.object == nil {
		missing := codeMissingConfigMap
		if key.kind == kindSecret {
			missing = codeMissingSecret
		}
		file.fault = &fault{missing, what + " does not exist", "create it, or correct the reference"}
		return file
	}
	owner := api.Owner{ObjectRef: api.ObjectRef{Kind: key.kind, Namespace: key.name.Namespace, Name: key.name.Name}}
	resource := &api.Resource{
		ResourceKey: api.ResourceKey{Type: secretType}, Owners: []api.Owner{owner},
		Sources: []api.Source{{Part: api.Part{ObjectRef: owner.ObjectRef}, Form: file.object}},
	}
	secret := &tlsv3.Secret{}
	if key.authority {
		file.fault = file.parseAuthorities(what)
		resource.Name = "ca/" + key.kind + "/" + key.name.String()
		secret.Type = validationContext(file.authorities)
	} else {
		var pair *tlsv3.TlsCertificate
		pair, file.fault = file.parsePair(what)
		resource.Name = "secret/" + key.name.String()
		secret.Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: pair}
	}
	if file.fault == nil {
		secret.Name, resource.Message = resource.Name, secret
		file.resource = resource
	}
	return file
}

func validationContext(authorities string) *tlsv3.Secret_ValidationContext {
	return &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inlineString(authorities)}}
}

func inlineString(text string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
}

// parseAuthorities reads ca.crt. Only the certificates in it are passed on: a key that lies beside them is not for Envoys.
func (f *pemFile) parseAuthorities(what string) *fault {
	var text string
	var found bool
	switch object := f.object.(type) {
	case *corev1.Secret:
		var data []byte
		data, found = object.Data[authorityKey]
		text = string(data)
	case *corev1.ConfigMap:
		text, found = object.Data[authorityKey]
	}
	if !found {
		return &fault{codeMissingKey, what + " has no key " + authorityKey, "put the authorities' certificates there, as PEM"}
	}
	var err error
	if f.authorities, err = f.certificates([]byte(text)); err != nil {
		return &fault{codeInvalidCertificate, fmt.Sprintf("%s, key %s: %v", what, authorityKey, err), "put one or more certificates there, as PEM"}
	}
	return nil
}

// certificates are all certificates of a PEM file, and their dates. There must be one.
func (f *pemFile) certificates(data []byte) (string, error) {
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
		f.narrow(certificate)
		count++
		out.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
	if out.Len() == 0 {
		return "", errNoCertificate
	}
	return out.String(), nil
}

var errNoCertificate = fmt.Errorf("no PEM block of type CERTIFICATE")

func (f *pemFile) narrow(certificate *x509.Certificate) {
	if f.notBefore.Before(certificate.NotBefore) {
		f.notBefore = certificate.NotBefore
	}
	if f.notAfter.IsZero() || certificate.NotAfter.Before(f.notAfter) {
		f.notAfter = certificate.NotAfter
	}
}

// parsePair reads tls.crt and tls.key of a Secret, and asks of them what Envoy will.
func (f *pemFile) parsePair(what string) (*tlsv3.TlsCertificate, *fault) {
	secret := f.object.(*corev1.Secret)
	if secret.Type != corev1.SecretTypeTLS {
		return nil, &fault{
			codeInvalidSecretType, fmt.Sprintf("%s is of type %q", what, secret.Type),
			"use a Secret of type " + string(corev1.SecretTypeTLS) + ", as `kubectl create secret tls` makes it",
		}
	}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(secret.Data[key]) == 0 {
			return nil, &fault{codeMissingKey, what + " has no key " + key, "put the certificate chain in tls.crt and its key in tls.key, as PEM"}
		}
	}
	chain, err := f.certificates(secret.Data[corev1.TLSCertKey])
	if err != nil {
		return nil, &fault{codeInvalidCertificate, fmt.Sprintf("%s, key %s: %v", what, corev1.TLSCertKey, err), "put the certificate chain there, as PEM"}
	}
	pair, err := tls.X509KeyPair([]byte(chain), secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, pairFault(what, err)
	}
	if unsupported := unsupportedKey(pair.Leaf); unsupported != "" {
		return nil, &fault{
			codeUnsupportedKey, fmt.Sprintf("%s holds %s, which Envoy refuses", what, unsupported),
			"use RSA with 2048 bits or more, or ECDSA with P-256, P-384 or P-521",
		}
	}
	return &tlsv3.TlsCertificate{
		CertificateChain: inlineString(chain),
		PrivateKey:       &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: secret.Data[corev1.TLSPrivateKeyKey]}},
	}, nil
}

// pairFault tells a key that is not one from one of another certificate. The errors of crypto/tls hold no part of the key.
func pairFault(what string, err error) *fault {
	if strings.Contains(err.Error(), "does not match") {
		return &fault{codeMismatchedKeyPair, fmt.Sprintf("%s: the key in tls.key is not that of the first certificate in tls.crt", what), "put the certificate and the key that belong together there, the server's own certificate first"}
	}
	return &fault{codeInvalidKey, fmt.Sprintf("%s, key %s: %v", what, corev1.TLSPrivateKeyKey, err), "put the private key there, as PEM and not encrypted"}
}

func unsupportedKey(leaf *x509.Certificate) string {
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 {
			return fmt.Sprintf("an RSA key of %d bits", bits)
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return "an ECDSA key on " + key.Curve.Params().Name
		}
	default:
		return "a key of type " + leaf.PublicKeyAlgorithm.String()
	}
	return ""
}
