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
		case parsed.Zone() != "" || parsed.IsMulticast():
			c.refuse(api.CodeInvalidValue, "spec.listenAddress", remedy, "nothing can listen on %q", address)
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
	// Envoy refuses to add these.
	if lower := strings.ToLower(name); lower == "host" || strings.HasPrefix(name, ":") {
		c.refuse(api.CodeInvalidValue, "spec.podHeader", "use a name of its own, such as x-podway-pod", "%q has a meaning of its own", name)
	}
}
