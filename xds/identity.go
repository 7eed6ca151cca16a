package xds

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
)

// DefaultIdentityPath is where in a trust domain the Gateways are.
const DefaultIdentityPath = "/gateway/{namespace}/{name}"

const (
	spiffeScheme = "spiffe://"
	// maxIdentityBytes is the length of a SPIFFE ID (SPIFFE-ID, section 2.3).
	maxIdentityBytes = 2048
	namespaceSlot    = "{namespace}"
	nameSlot         = "{name}"
)

// identity is what a client's certificate says of it.
type identity struct {
	// uri is the certificate's one URI SAN.
	uri string
	// gateway is the node.cluster that it may have, NAMESPACE/NAME; empty where it is no Gateway.
	gateway  string
	operator bool
}

// identities says what the URI SANs of a trust domain stand for.
type identities struct {
	trustDomain string
	// path are the segments below the trust domain.
	path      []string
	operators []string
}

func newIdentities(trustDomain, path string, operators []string) (*identities, error) {
	if trustDomain == "" || len(trustDomain) > 255 || strings.Trim(trustDomain, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return nil, fmt.Errorf("trust domain %q: want a name of lower-case letters, digits, dots, dashes and underscores, such as example.org", trustDomain)
	}
	if path == "" {
		path = DefaultIdentityPath
	}
	segments, rooted := segmentsOf(path)
	slots := 0
	for _, segment := range segments {
		switch {
		case segment == namespaceSlot, segment == nameSlot:
			slots++
		case !isSegment(segment):
			rooted = false
		}
	}
	if !rooted || slots != 2 || !slices.Contains(segments, namespaceSlot) || !slices.Contains(segments, nameSlot) {
		return nil, fmt.Errorf("identity path %q: want a path in which %s and %s are a segment each, such as %s", path, namespaceSlot, nameSlot, DefaultIdentityPath)
	}
	i := &identities{trustDomain: trustDomain, path: segments, operators: slices.Clone(operators)}
	for _, operator := range operators {
		if _, ok := i.pathOf(operator); !ok {
			return nil, fmt.Errorf("operator identity %q: want %s%s/ and a path of letters, digits, dots, dashes and underscores", operator, spiffeScheme, trustDomain)
		}
	}
	return i, nil
}

// of reads a certificate that has been verified, or says why it stands for nobody.
func (i *identities) of(certificate *x509.Certificate) (identity, *denial) {
	switch len(certificate.URIs) {
	case 0:
		return identity{}, deny(reasonNoURI, codes.PermissionDenied, "the client certificate has no URI SAN; it needs one, %s", i.form())
	case 1:
	default:
		return identity{}, deny(reasonSeveralURIs, codes.PermissionDenied,
			"the client certificate has %d URI SANs, %s and %s among them; it must have exactly one, %s",
			len(certificate.URIs), short(certificate.URIs[0].String()), short(certificate.URIs[1].String()), i.form())
	}
	who := identity{uri: certificate.URIs[0].String()}
	if !strings.HasPrefix(who.uri, spiffeScheme+i.trustDomain+"/") {
		return who, deny(reasonTrustDomain, codes.PermissionDenied,
			"the client certificate's URI SAN %s is not of the trust domain %s; it must be %s", short(who.uri), i.trustDomain, i.form())
	}
	path, ok := i.pathOf(who.uri)
	if ok {
		who.gateway = i.gatewayOf(path)
		who.operator = slices.Contains(i.operators, who.uri)
	}
	if who.gateway == "" && !who.operator {
		return who, deny(reasonNoGateway, codes.PermissionDenied,
			"the client certificate's URI SAN %s stands for no Gateway and no operator; a Gateway's is %s", short(who.uri), i.form())
	}
	return who, nil
}

// pathOf returns the segments of a URI of the trust domain. It is strict, so that one Gateway has one spelling.
func (i *identities) pathOf(uri string) ([]string, bool) {
	path, ok := strings.CutPrefix(uri, spiffeScheme+i.trustDomain)
	if !ok || len(uri) > maxIdentityBytes {
		return nil, false
	}
	segments, rooted := segmentsOf(path)
	return segments, rooted && !slices.ContainsFunc(segments, func(segment string) bool { return !isSegment(segment) })
}

// gatewayOf is NAMESPACE/NAME, or empty where the path has another form.
func (i *identities) gatewayOf(path []string) string {
	if len(path) != len(i.path) {
		return ""
	}
	var namespace, name string
	for at, want := range i.path {
		switch want {
		case namespaceSlot:
			namespace = path[at]
		case nameSlot:
			name = path[at]
		case path[at]:
		default:
			return ""
		}
	}
	return namespace + "/" + name
}

// form is how the identity of a Gateway looks.
func (i *identities) form() string {
	path := strings.Join(i.path, "/")
	return spiffeScheme + i.trustDomain + "/" + strings.NewReplacer(namespaceSlot, "NAMESPACE", nameSlot, "NAME").Replace(path)
}

// mayBe refuses a client that is not the Gateway that its node says it is.
func (who client) mayBe(node *corev3.Node) *denial {
	if who.identity == nil || node.GetId() == "" { // of which open says what is wrong
		return nil
	}
	return who.identity.mayBe(node.GetCluster())
}

func (who identity) mayBe(gateway string) *denial {
	switch {
	case who.gateway == "":
		return deny(reasonWrongGateway, codes.PermissionDenied,
			"the identity %s is an operator's and no Gateway's; it cannot be given what the Gateway %q has", short(who.uri), short(gateway))
	case who.gateway != gateway:
		return deny(reasonWrongGateway, codes.PermissionDenied,
			"the identity %s may be the Gateway %s only, but node.cluster is %q; set node.cluster to %s, or use the certificate of the other Gateway",
			short(who.uri), who.gateway, short(gateway), who.gateway)
	}
	return nil
}

// segmentsOf cuts a path, which is rooted if it begins with a slash.
func segmentsOf(path string) (segments []string, rooted bool) {
	rest, rooted := strings.CutPrefix(path, "/")
	return strings.Split(rest, "/"), rooted
}

// isSegment is true for a segment as SPIFFE allows it (SPIFFE-ID, section 2.2).
func isSegment(segment string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return segment != "" && segment != "." && segment != ".." && strings.Trim(segment, letters) == ""
}

// short keeps what a client says of itself from filling messages.
func short(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
