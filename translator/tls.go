package translator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// systemAuthorities is where Debian, Ubuntu, Alpine and Envoy's own images keep them.
const systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

// secure has the Cluster speak TLS where the tunnel says so, and returns the
// secrets that it needs. Whatever is wrong refuses the tunnel: there is no plain text, no
// missing verification and no smaller set of authorities to fall back to.
func (p *tunnelPlanner) secure(cluster *clusterv3.Cluster) []api.ResourceKey {
	spec := p.tunnel.Spec.TLS
	if spec == nil {
		return nil
	}
	common := &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		// With a protocol that is fixed, Envoy does not offer it by itself.
		AlpnProtocols: []string{"h2"},
	}
	if p.protocol == v1alpha1.ProtocolHTTP {
		common.AlpnProtocols = []string{"http/1.1"}
	}
	p.clientCertificate(spec, common)
	p.verification(spec, common)
	context := &tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: spec.Hostname}
	if err := validateProto(context); err != nil {
		p.refuse(api.Problem{
			Code: codeInvalidTunnel, Field: "spec.tls", Message: "Envoy would refuse this: " + err.Error(), Remedy: "correct the value",
		})
	}
	cluster.TransportSocket = &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(context)},
	}
	slices.SortFunc(p.plan.secrets, func(a, b *api.Resource) int { return strings.Compare(a.Name, b.Name) })
	var needs []api.ResourceKey
	for _, secret := range p.plan.secrets {
		needs = append(needs, secret.ResourceKey)
	}
	return needs
}

// clientCertificate is what Envoy shows to the Pods.
func (p *tunnelPlanner) clientCertificate(spec *v1alpha1.TunnelTLS, common *tlsv3.CommonTlsContext) {
	const field = "spec.tls.clientCertificateRef"
	if spec.ClientCertificateRef == nil {
		return
	}
	kind, name, ok := p.reference(spec.ClientCertificateRef, kindSecret, field)
	if !ok {
		return
	}
	if kind != kindSecret {
		p.refuse(api.Problem{
			Code: codeInvalidReference, Field: field + ".kind", Message: "a client certificate cannot be in a " + kind,
			Remedy: "name a Secret of type kubernetes.io/tls",
		})
		return
	}
	resource, problem := p.in.tlsSecret(p.ref(), field, name)
	p.useSecret(p.in.pem(pemKey{kind: kindSecret, name: name}), problem)
	if resource == nil {
		return
	}
	p.addSecret(resource)
	common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{{Name: resource.Name, SdsConfig: ads()}}
}

// verification is of whom the Pods must be: signed by an authority, and with a name.
func (p *tunnelPlanner) verification(spec *v1alpha1.TunnelTLS, common *tlsv3.CommonTlsContext) {
	system := spec.WellKnownCACertificates == v1alpha1.WellKnownCACertificatesSystem
	ways := b2i(system) + b2i(len(spec.CACertificateRefs) > 0) + b2i(spec.InsecureSkipVerify)
	if ways != 1 {
		p.refuse(api.Problem{
			Code: api.CodeConflict, Field: "spec.tls", Message: "exactly one of caCertificateRefs, wellKnownCACertificates and insecureSkipVerify must say what is verified",
			Remedy: "set one of them",
		})
		return
	}
	if spec.InsecureSkipVerify {
		return
	}
	names := p.names(spec)
	if len(names) == 0 {
		p.refuse(api.Problem{
			Code: api.CodeMissingField, Field: "spec.tls.hostname",
			Message: "without a name to verify, anybody with a certificate of the same authority would be believed",
			Remedy:  "set spec.tls.hostname or spec.tls.subjectAltNames to a name that the Pods' certificate has",
		})
	}
	context := &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: names}
	if system {
		context.TrustedCa = &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: systemAuthorities}}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: context}
		return
	}
	if authorities := p.authorities(spec.CACertificateRefs); authorities != nil {
		p.addSecret(authorities)
		common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         context,
				ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: authorities.Name, SdsConfig: ads()},
			},
		}
	}
}

// names are those of which the Pods' certificate must have one.
func (p *tunnelPlanner) names(spec *v1alpha1.TunnelTLS) []*tlsv3.SubjectAltNameMatcher {
	wanted := spec.SubjectAltNames
	if len(wanted) == 0 && spec.Hostname != "" {
		wanted = []v1alpha1.SubjectAltName{{Type: v1alpha1.SubjectAltNameDNS, Value: spec.Hostname}}
	}
	var names []*tlsv3.SubjectAltNameMatcher
	for _, name := range wanted {
		kind := tlsv3.SubjectAltNameMatcher_DNS
		if name.Type == v1alpha1.SubjectAltNameURI {
			kind = tlsv3.SubjectAltNameMatcher_URI
		}
		names = append(names, &tlsv3.SubjectAltNameMatcher{
			SanType: kind, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name.Value}},
		})
	}
	return names
}

// authorities is one validation context of all references. Several are joined
// under a name of the tunnel's own. One that is broken refuses the tunnel, and every broken one is reported.
func (p *tunnelPlanner) authorities(refs []v1alpha1.ObjectReference) *api.Resource {
	var files []*pemFile
	for i := range refs {
		field := fmt.Sprintf("spec.tls.caCertificateRefs[%d]", i)
		kind, name, ok := p.reference(&refs[i], kindConfigMap, field)
		if !ok {
			continue
		}
		file := p.in.pem(pemKey{kind: kind, name: name, authority: true})
		resource, problem := file.use(p.ref(), field, p.in.cfg.Now)
		p.useSecret(file, problem)
		if resource != nil {
			files = append(files, file)
		}
	}
	if len(files) != len(refs) {
		return nil
	}
	if len(files) == 1 {
		return files[0].resource
	}
	return p.joinAuthorities(files)
}

func (p *tunnelPlanner) joinAuthorities(files []*pemFile) *api.Resource {
	made := &api.Resource{
		ResourceKey: api.ResourceKey{Type: secretType, Name: "ca/tunnel/" + p.name.String()}, Owners: slices.Clone(p.plan.owners),
		Sources: p.sources(),
	}
	var text strings.Builder
	for _, file := range files {
		text.WriteString(file.authorities)
		made.Owners = append(made.Owners, file.resource.Owners...)
	}
	made.Message = &tlsv3.Secret{Name: made.Name, Type: validationContext(text.String())}
	if p.old != nil {
		for _, old := range p.old.secrets {
			made = keep(old, made)
		}
	}
	return made
}

// reference resolves a reference and asks whether the tunnel may use it.
func (p *tunnelPlanner) reference(ref *v1alpha1.ObjectReference, usual, field string) (kind string, name types.NamespacedName, ok bool) {
	kind = cmp.Or(ref.Kind, usual)
	name = types.NamespacedName{Namespace: cmp.Or(ref.Namespace, p.name.Namespace), Name: ref.Name}
	if kind != kindSecret && kind != kindConfigMap {
		p.refuse(api.Problem{
			Code: codeInvalidReference, Field: field + ".kind", Message: fmt.Sprintf("%q is no kind that holds certificates", kind), Remedy: "name a ConfigMap or a Secret",
		})
		return kind, name, false
	}
	if !p.granted(p.name.Namespace, kind, name) {
		p.refuse(api.Problem{
			Code: codeReferenceNotGranted, Field: field + ".namespace",
			Message: fmt.Sprintf("no ReferenceGrant in namespace %s lets a Tunnel of namespace %s use %s %s", name.Namespace, p.name.Namespace, kind, name.Name),
			Remedy:  fmt.Sprintf("have a ReferenceGrant made in namespace %s, from group %s, kind Tunnel and namespace %s to kind %s", name.Namespace, v1alpha1.Group, p.name.Namespace, kind),
		})
		return kind, name, false
	}
	p.object(kind, name)
	return kind, name, true
}

// useSecret takes over a Problem of a file: a Warning, or one that refuses the
// tunnel. The judgement of its dates holds until the next of them.
func (p *tunnelPlanner) useSecret(file *pemFile, problem *api.Problem) {
	if file.resource != nil {
		p.read.dates(p.in.cfg.Now, file.dates.NotBefore, file.dates.NotAfter)
	}
	switch {
	case problem == nil:
	case problem.Severity == api.Error:
		p.refuse(*problem)
	default:
		p.report(*problem)
	}
}

func (p *tunnelPlanner) addSecret(resource *api.Resource) {
	if !slices.ContainsFunc(p.plan.secrets, func(known *api.Resource) bool { return known.ResourceKey == resource.ResourceKey }) {
		p.plan.secrets = append(p.plan.secrets, resource)
	}
}
