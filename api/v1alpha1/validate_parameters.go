package v1alpha1

import (
	"net/netip"
	"strings"

	"github.com/podway/podway/api"
)

// Validate returns what is wrong with parameters whose defaults are set: an
// Error refuses them as a whole. It does not look at metadata.
func (g *GatewayParameters) Validate() []api.Problem {
	c := newChecker(KindGatewayParameters, &g.ObjectMeta)
	c.network(g.Spec.Network)
	if address := g.Spec.ListenAddress; address != "" {
		const remedy = "use an IPv4 or IPv6 address, such as 0.0.0.0 or ::"
		parsed, err := netip.ParseAddr(address)
		switch {
		case err != nil:
			c.refuse(api.CodeInvalidValue, "spec.listenAddress", remedy, "%q is not an IP address", address)
		case parsed.Zone() != "" || parsed.IsMulticast() || parsed.Is6() && parsed.IsLinkLocalUnicast() || parsed == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			c.refuse(api.CodeInvalidValue, "spec.listenAddress", remedy, "nothing can listen on %q", address)
		case parsed.Is4In6(): // Envoy binds IPv6 sockets to IPv6 alone
			c.refuse(api.CodeInvalidValue, "spec.listenAddress", "write it as "+parsed.Unmap().String(), "Envoy cannot listen on the IPv4 address %q as one of IPv6", address)
		}
	}
	if log := g.Spec.AccessLog; log != nil {
		oneOf(c, "spec.accessLog.format", log.Format, AccessLogJSON, AccessLogText)
		c.shorter("spec.accessLog.path", log.Path, 4096)
		if log.Path != "" && (log.Path[0] != '/' || strings.ContainsRune(log.Path, 0)) {
			c.refuse(api.CodeInvalidValue, "spec.accessLog.path", "use an absolute path, such as /dev/stdout", "%q is not an absolute path", log.Path)
		}
	}
	between(c, "spec.trustedProxyHops", &g.Spec.TrustedProxyHops, 0, 32)
	c.podHeader(g.Spec.PodHeader)
	return c.problems
}

func (c *checker) podHeader(name string) {
	if name == "" {
		return
	}
	c.header("spec.podHeader", name)
	if strings.HasPrefix(name, ":") || ownMeaning[strings.ToLower(name)] {
		c.refuse(api.CodeInvalidValue, "spec.podHeader", "use a name of its own, such as x-podway-pod", "%q has a meaning of its own", name)
	}
}

// ownMeaning are headers that Envoy refuses to add, or that would spoil every response.
var ownMeaning = map[string]bool{
	"host": true, "connection": true, "content-encoding": true, "content-length": true, "keep-alive": true, "proxy-connection": true, "trailer": true,
	"transfer-encoding": true, "upgrade": true,
}
