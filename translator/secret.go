package translator

import (
	"fmt"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pki"
)

const (
	kindSecret    = "Secret"
	kindConfigMap = "ConfigMap"
	kindHTTPRoute = "HTTPRoute"
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
	dates    pki.Dates
	// authorities is the PEM of the certificates alone.
	authorities string
	// ofServer is what is wrong with a certificate for a server, though a client may show it.
	ofServer *fault
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
	case !now.Before(f.dates.NotAfter):
		return &fault{
			codeCertificateExpired, fmt.Sprintf("a certificate in %s expired on %s", f.resource.Owners[0].ObjectRef, f.dates.NotAfter.UTC().Format(date)),
			"renew the certificate",
		}
	case now.Before(f.dates.NotBefore):
		return &fault{
			codeCertificateNotYetValid, fmt.Sprintf("a certificate in %s is not valid before %s", f.resource.Owners[0].ObjectRef, f.dates.NotBefore.UTC().Format(date)),
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
	var wrong *pki.Fault
	if key.authority {
		resource.Name = "ca/" + key.kind + "/" + key.name.String()
		wrong = file.readAuthorities(secret)
	} else {
		resource.Name = "secret/" + key.name.String()
		wrong = file.readPair(secret, what)
	}
	file.fault = faultOf(what, wrong)
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

// faultOf names the object that a fault is of.
func faultOf(what string, wrong *pki.Fault) *fault {
	if wrong == nil {
		return nil
	}
	return &fault{wrong.Code, what + wrong.Message, wrong.Remedy}
}

func (f *pemFile) readAuthorities(secret *tlsv3.Secret) *pki.Fault {
	read, wrong := pki.ReadAuthorities(f.object)
	if wrong == nil {
		f.authorities, f.dates = read.PEM, read.Dates
		secret.Type = validationContext(f.authorities)
	}
	return wrong
}

func (f *pemFile) readPair(secret *tlsv3.Secret, what string) *pki.Fault {
	pair, wrong := pki.ReadPair(f.object.(*corev1.Secret))
	if wrong == nil {
		f.dates, f.ofServer = pair.Dates, faultOf(what, pair.OfServer)
		secret.Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inlineString(pair.Chain),
			PrivateKey:       &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: pair.Key}},
		}}
	}
	return wrong
}
