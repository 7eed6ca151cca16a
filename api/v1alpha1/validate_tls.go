package v1alpha1

import (
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podway/podway/api"
)

// tls checks that exactly one thing says what is verified, and that there is a name to verify.
func (c *checker) tls(tls *TunnelTLS) {
	c.hostname("spec.tls.hostname", tls.Hostname)
	c.atMost("spec.tls.subjectAltNames", len(tls.SubjectAltNames), 5)
	for i := range tls.SubjectAltNames {
		c.subjectAltName(index("spec.tls.subjectAltNames", i), &tls.SubjectAltNames[i])
	}
	c.atMost("spec.tls.caCertificateRefs", len(tls.CACertificateRefs), 8)
	for i := range tls.CACertificateRefs {
		c.reference(index("spec.tls.caCertificateRefs", i), &tls.CACertificateRefs[i], kindConfigMap, kindSecret)
	}
	oneOf(c, "spec.tls.wellKnownCACertificates", tls.WellKnownCACertificates, WellKnownCACertificatesSystem)
	if tls.ClientCertificateRef != nil {
		c.reference("spec.tls.clientCertificateRef", tls.ClientCertificateRef, kindSecret)
	}
	c.trust(tls)
}

func (c *checker) trust(tls *TunnelTLS) {
	var given []string
	if len(tls.CACertificateRefs) > 0 {
		given = append(given, "caCertificateRefs")
	}
	if tls.WellKnownCACertificates != "" {
		given = append(given, "wellKnownCACertificates")
	}
	if tls.InsecureSkipVerify {
		given = append(given, "insecureSkipVerify")
	}
	switch {
	case len(given) == 0:
		c.refuse(api.CodeMissingField, "spec.tls", "set caCertificateRefs, or wellKnownCACertificates: System, or insecureSkipVerify: true to believe anybody",
			"nothing says which certificate authorities are trusted")
		return
	case len(given) > 1:
		c.refuse(api.CodeConflict, "spec.tls", "keep one of them", "%s exclude each other", strings.Join(given, " and "))
		return
	}
	if tls.InsecureSkipVerify {
		if len(tls.SubjectAltNames) > 0 {
			c.refuse(api.CodeConflict, "spec.tls.subjectAltNames", "remove subjectAltNames, or verify with caCertificateRefs or wellKnownCACertificates",
				"no name is verified while insecureSkipVerify is true")
		}
		return
	}
	if tls.Hostname == "" && len(tls.SubjectAltNames) == 0 {
		c.refuse(api.CodeMissingField, "spec.tls.hostname", "set hostname or subjectAltNames to the name that the Pods' certificate has",
			"the certificate is verified, but nothing says which name it must have")
	}
}

func (c *checker) subjectAltName(field string, name *SubjectAltName) {
	if c.required(field+".type", string(name.Type), "DNS or URI") {
		oneOf(c, field+".type", name.Type, SubjectAltNameDNS, SubjectAltNameURI)
	}
	if !c.required(field+".value", name.Value, "the name that the certificate has") {
		return
	}
	c.shorter(field+".value", name.Value, maxName)
	switch name.Type {
	case SubjectAltNameDNS:
		lower := strings.ToLower(name.Value)
		if len(validation.IsDNS1123Subdomain(lower)) > 0 {
			c.refuse(api.CodeInvalidValue, field+".value", "use a DNS name without a wildcard, such as httpbin.example.com", "%q is not a host name", name.Value)
		}
	case SubjectAltNameURI:
		if parsed, err := url.Parse(name.Value); err != nil || parsed.Scheme == "" {
			c.refuse(api.CodeInvalidValue, field+".value", "use a URI with a scheme, such as spiffe://cluster.local/ns/default/sa/httpbin", "%q is not a URI", name.Value)
		}
	}
}

func (c *checker) reference(field string, ref *ObjectReference, kinds ...string) {
	oneOf(c, field+".kind", ref.Kind, kinds...)
	c.subdomain(field+".name", ref.Name, "the name of a "+orList(kinds))
	if ref.Namespace != "" {
		c.label(field+".namespace", ref.Namespace, "the name of a namespace")
	}
}
