package translator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// listener is one listener of a Gateway that is in force.
type listener struct {
	spec     *gatewayv1.Listener
	field    string
	hostname string
	secrets  []*api.Resource
	// hosts are the attached routes by hostname.
	hosts map[string][]*gatewayv1.HTTPRoute
}

// readListeners returns the listeners that are in force, in the order of the Gateway.
func (f *front) readListeners() []*listener {
	var out []*listener
	seen := map[gatewayv1.SectionName]bool{}
	for i := range f.gateway.Spec.Listeners {
		l := &listener{spec: &f.gateway.Spec.Listeners[i], field: fmt.Sprintf("spec.listeners[%d]", i), hosts: map[string][]*gatewayv1.HTTPRoute{}}
		l.hostname = strings.ToLower(string(orDefault(l.spec.Hostname, "")))
		if seen[l.spec.Name] {
			f.problem(api.CodeConflict, l.field+".name", fmt.Sprintf("another listener is called %s", l.spec.Name), "give each listener a name of its own")
			continue
		}
		seen[l.spec.Name] = true
		if !f.leftOut(listenerPart(f.name, l.spec.Name)) && f.supported(l) && !f.conflicts(out, l) {
			out = append(out, l)
			f.attached[string(l.spec.Name)] = 0
		}
	}
	return out
}

// supported says whether podway serves such a listener, and makes a Problem of it where it does not.
func (f *front) supported(l *listener) bool {
	if l.hostname != "" && !isHostname(l.hostname) {
		f.problem(api.CodeInvalidValue, l.field+".hostname", fmt.Sprintf("%q is not a hostname", *l.spec.Hostname), "use a DNS name, with *. in front for all names below it")
		return false
	}
	if l.spec.Port < 1 || l.spec.Port > 65535 {
		f.problem(api.CodeOutOfRange, l.field+".port", fmt.Sprintf("%d is not a port", l.spec.Port), "set a number from 1 to 65535")
		return false
	}
	switch l.spec.Protocol {
	case gatewayv1.HTTPProtocolType:
		if l.spec.TLS != nil {
			f.problem(api.CodeInvalidValue, l.field+".tls", "a listener with protocol HTTP has no TLS", "remove tls, or use protocol HTTPS")
			return false
		}
		return true
	case gatewayv1.HTTPSProtocolType:
		return f.readTLS(l)
	default:
		f.problem(codeUnsupported, l.field+".protocol", fmt.Sprintf("protocol %s is not supported yet", l.spec.Protocol), "use HTTP or HTTPS")
		return false
	}
}

// conflicts says whether a listener cannot stand beside those before it. The
// first of two stays in force, so that a listener that is added by mistake does not take down one that serves.
func (f *front) conflicts(before []*listener, l *listener) bool {
	for _, other := range before {
		if other.spec.Port != l.spec.Port {
			continue
		}
		if other.spec.Protocol != l.spec.Protocol {
			f.problem(api.CodeConflict, l.field+".protocol",
				fmt.Sprintf("port %d already speaks %s, by listener %s", l.spec.Port, other.spec.Protocol, other.spec.Name), "use another port")
			return true
		}
		if other.hostname == l.hostname {
			f.problem(api.CodeConflict, l.field+".hostname",
				fmt.Sprintf("listener %s has the same port, protocol and hostname", other.spec.Name), "give it another hostname or port, or remove it")
			return true
		}
	}
	return false
}

func (f *front) readTLS(l *listener) bool {
	tls := l.spec.TLS
	if tls == nil || len(tls.CertificateRefs) == 0 {
		f.problem(api.CodeMissingField, l.field+".tls.certificateRefs", "a listener with protocol HTTPS needs a certificate", "name a Secret of type kubernetes.io/tls")
		return false
	}
	if orDefault(tls.Mode, gatewayv1.TLSModeTerminate) != gatewayv1.TLSModeTerminate {
		f.problem(codeUnsupported, l.field+".tls.mode", fmt.Sprintf("mode %s is not supported yet", *tls.Mode), "use Terminate")
		return false
	}
	if f.validatesClients(l.spec.Port) {
		f.problem(codeUnsupported, "spec.tls.frontend", fmt.Sprintf("verifying clients' certificates is not supported yet; listener %s is not in force, because it would accept everybody", l.spec.Name),
			"remove spec.tls.frontend")
		return false
	}
	for i, ref := range tls.CertificateRefs {
		if secret := f.certificate(ref, fmt.Sprintf("%s.tls.certificateRefs[%d]", l.field, i)); secret != nil {
			l.secrets = append(l.secrets, secret)
		}
	}
	return len(l.secrets) > 0
}

func (f *front) validatesClients(port gatewayv1.PortNumber) bool {
	tls := f.gateway.Spec.TLS
	if tls == nil || tls.Frontend == nil {
		return false
	}
	for _, p := range tls.Frontend.PerPort {
		if p.Port == port {
			return p.TLS.Validation != nil
		}
	}
	return tls.Frontend.Default.Validation != nil
}

// certificate returns the secret of a reference, or nil where it cannot be used, which is a Problem.
func (f *front) certificate(ref gatewayv1.SecretObjectReference, field string) *api.Resource {
	group, kind := string(orDefault(ref.Group, "")), string(orDefault(ref.Kind, "Secret"))
	target := f.secretOf(ref)
	if group != "" || kind != "Secret" {
		f.problem(codeInvalidReference, field, fmt.Sprintf("a certificate of kind %s/%s cannot be used", group, kind), "name a Secret of type kubernetes.io/tls")
		return nil
	}
	if !f.mayUse(target) {
		f.problem(codeReferenceNotGranted, field, fmt.Sprintf("no ReferenceGrant in namespace %s lets Gateways of namespace %s use Secret %s", target.Namespace, f.name.Namespace, target.Name),
			"add a ReferenceGrant there, or use a Secret of the Gateway's namespace")
		return nil
	}
	secret, problem := f.in.tlsSecret(gatewayRef(f.name), field, target)
	if fault := f.in.pem(pemKey{kind: kindSecret, name: target}).ofServer; fault != nil {
		secret, problem = nil, fault.problem(api.Error, gatewayRef(f.name), field)
	}
	if problem != nil {
		p := *problem
		p.Generation = f.gateway.Generation
		f.problems = append(f.problems, p)
	}
	return secret
}

// buildListeners makes one Envoy Listener for each port.
func (f *front) buildListeners(all []*listener) {
	byPort := map[gatewayv1.PortNumber][]*listener{}
	for _, l := range all {
		byPort[l.spec.Port] = append(byPort[l.spec.Port], l)
	}
	for port, listeners := range byPort {
		name := fmt.Sprintf("gateway/%s/%s/%d", f.name.Namespace, f.name.Name, port)
		envoy := &listenerv3.Listener{
			Name:                          name,
			Address:                       f.address(uint32(port)),
			PerConnectionBufferLimitBytes: wrapperspb.UInt32(32 << 10),
		}
		if f.params.ProxyProtocol {
			envoy.ListenerFilters = append(envoy.ListenerFilters, listenerFilter("envoy.filters.listener.proxy_protocol", &proxyprotocolv3.ProxyProtocol{}))
		}
		var needs []api.ResourceKey
		if listeners[0].spec.Protocol == gatewayv1.HTTPProtocolType {
			routes := api.ResourceKey{Type: resource.RouteType, Name: name}
			f.addRoutes(routes, listeners)
			envoy.FilterChains = []*listenerv3.FilterChain{{Name: name, Filters: f.connectionManager(name, name)}}
			needs = append(needs, routes)
		} else {
			envoy.ListenerFilters = append(envoy.ListenerFilters, listenerFilter("envoy.filters.listener.tls_inspector", &tlsinspectorv3.TlsInspector{}))
			for _, l := range listeners {
				routes := api.ResourceKey{Type: resource.RouteType, Name: name + "/" + string(l.spec.Name)}
				f.addRoutes(routes, []*listener{l})
				envoy.FilterChains = append(envoy.FilterChains, f.tlsChain(l, name, routes.Name))
				needs = append(needs, routes)
				for _, secret := range l.secrets {
					f.resources[secret.ResourceKey] = secret
					needs = append(needs, secret.ResourceKey)
				}
			}
		}
		f.add(api.ResourceKey{Type: resource.ListenerType, Name: name}, envoy, needs, []api.Owner{f.owner()}, f.sourcesOf(listeners))
	}
}

func (f *front) address(port uint32) *corev3.Address {
	address := f.params.ListenAddress
	if _, err := netip.ParseAddr(address); err != nil { // nothing else passes the validation of GatewayParameters
		address = "0.0.0.0"
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func (f *front) tlsChain(l *listener, statPrefix, routes string) *listenerv3.FilterChain {
	context := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		AlpnProtocols: []string{"h2", "http/1.1"},
		TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
	}}
	for _, secret := range l.secrets {
		context.CommonTlsContext.TlsCertificateSdsSecretConfigs = append(context.CommonTlsContext.TlsCertificateSdsSecretConfigs,
			&tlsv3.SdsSecretConfig{Name: secret.Name, SdsConfig: ads()})
	}
	chain := &listenerv3.FilterChain{
		Name:    routes,
		Filters: f.connectionManager(statPrefix, routes),
		TransportSocket: &corev3.TransportSocket{
			Name:       "envoy.transport_sockets.tls",
			ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(context)},
		},
	}
	if l.hostname != "" {
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: []string{l.hostname}}
	}
	return chain
}

// mostSpecific returns the listener of a port that a hostname belongs to.
func mostSpecific(listeners []*listener, hostname string) *listener {
	candidates := slices.Clone(listeners)
	slices.SortStableFunc(candidates, func(a, b *listener) int { return specificity(b.hostname) - specificity(a.hostname) })
	for _, l := range candidates {
		if covers(l.hostname, hostname) {
			return l
		}
	}
	return nil
}

// specificity orders hostnames: exact ones before wildcards, longer before shorter, none last.
func specificity(hostname string) int {
	switch {
	case hostname == "":
		return 0
	case strings.HasPrefix(hostname, "*."):
		return len(hostname)
	default:
		return 1000 + len(hostname)
	}
}
