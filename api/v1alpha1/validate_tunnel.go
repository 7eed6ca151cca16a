package v1alpha1

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podway/podway/api"
)

// The sizes of a tunnel.
const (
	MaxServices  = 20
	MaxAddresses = 200
	maxWeight    = 100
)

// Validate returns what is wrong with a tunnel whose defaults are set, as far
// as the tunnel alone can tell: an Error refuses the tunnel as a whole. It does not
// look at metadata.
func (t *Tunnel) Validate() []api.Problem {
	c := newChecker(KindTunnel, &t.ObjectMeta)
	spec := &t.Spec
	c.network(spec.Network)
	c.members(spec)
	oneOf(c, "spec.protocol", spec.Protocol, ProtocolHTTP, ProtocolHTTP2, ProtocolGRPC)
	c.hostPort("spec.hostHeader", spec.HostHeader)
	if spec.TLS != nil {
		c.tls(spec.TLS)
	}
	if spec.Retry != nil {
		c.retry(spec.Retry, spec.Protocol)
	}
	if timeout := spec.Timeout; timeout != nil {
		c.duration("spec.timeout.connect", timeout.Connect, positive)
		c.duration("spec.timeout.idle", timeout.Idle, anyDuration)
		c.duration("spec.timeout.connectionIdle", timeout.ConnectionIdle, anyDuration)
	}
	if breaker := spec.CircuitBreaker; breaker != nil {
		between(c, "spec.circuitBreaker.maxConnections", breaker.MaxConnections, 1, maxUint32)
		between(c, "spec.circuitBreaker.maxPendingRequests", breaker.MaxPendingRequests, 1, maxUint32)
		between(c, "spec.circuitBreaker.maxParallelRequests", breaker.MaxParallelRequests, 1, maxUint32)
		between(c, "spec.circuitBreaker.maxParallelRetries", breaker.MaxParallelRetries, 1, maxUint32)
	}
	if spec.LoadBalancer != nil {
		c.loadBalancer(spec)
	}
	if check := spec.HealthCheck; check != nil {
		if check.Active != nil {
			c.activeCheck(check.Active)
		}
		if check.Passive != nil {
			c.passiveCheck(check.Passive)
		}
	}
	return c.problems
}

// members checks the services and addresses.
func (c *checker) members(spec *TunnelSpec) {
	if len(spec.Services)+len(spec.Addresses) == 0 {
		c.refuse(api.CodeNoMembers, "spec", "list at least one Service in spec.services, or one address in spec.addresses",
			"the tunnel has neither services nor addresses")
		return
	}
	c.atMost("spec.services", len(spec.Services), MaxServices)
	c.atMost("spec.addresses", len(spec.Addresses), MaxAddresses)
	seen := map[string]int{}
	for i := range spec.Services {
		field := index("spec.services", i)
		c.service(field, &spec.Services[i])
		c.once(seen, spec.Services[i].key(), field, "spec.services", i)
	}
	seen = map[string]int{}
	for i := range spec.Addresses {
		field, address := index("spec.addresses", i), &spec.Addresses[i]
		c.address(field, address)
		c.once(seen, address.key(), field, "spec.addresses", i)
	}
	low, _ := spec.weights()
	if low == 0 {
		c.refuse(api.CodeAllWeightsZero, "spec", "give at least one entry a weight above 0",
			"all weights of the tunnel are 0, so that nothing takes traffic")
	}
}

// weights are the lowest and the highest of those above 0; 0 and 0 where there is none.
func (s *TunnelSpec) weights() (low, high int32) {
	use := func(weight *int32) {
		w := DefaultWeight
		if weight != nil {
			w = *weight
		}
		if w == 0 {
			return
		}
		if low == 0 || w < low {
			low = w
		}
		high = max(high, w)
	}
	for i := range s.Services {
		use(s.Services[i].PodWeight)
	}
	for i := range s.Addresses {
		use(s.Addresses[i].Weight)
	}
	return low, high
}

// once warns of an entry that is there twice.
func (c *checker) once(seen map[string]int, key, field, list string, i int) {
	if first, ok := seen[key]; ok {
		c.warn(api.CodeDuplicateEntry, field, "remove one of the two", "the entry is the same as %s, so that their weights add up", index(list, first))
		return
	}
	seen[key] = i
}

func (s *TunnelService) key() string {
	selector := ""
	if s.PodSelector != nil {
		selector = metav1.FormatLabelSelector(s.PodSelector)
	}
	return strings.Join([]string{s.Cluster, s.Namespace, s.Name, s.Port.String(), selector}, "\x00")
}

func (a *TunnelAddress) key() string {
	text := a.Address
	if parsed, err := netip.ParseAddr(text); err == nil {
		text = parsed.Unmap().String()
	}
	return net.JoinHostPort(text, strconv.Itoa(int(a.Port)))
}

func (c *checker) service(field string, s *TunnelService) {
	c.subdomain(field+".cluster", s.Cluster, "the name of a MemberCluster")
	c.label(field+".namespace", s.Namespace, "the name of a namespace")
	c.label(field+".name", s.Name, "the name of a Service")
	c.servicePort(field+".port", s.Port)
	between(c, field+".podWeight", s.PodWeight, 0, maxWeight)
	if s.PodSelector == nil {
		return
	}
	if _, err := metav1.LabelSelectorAsSelector(s.PodSelector); err != nil {
		c.refuse(api.CodeInvalidValue, field+".podSelector", "use matchLabels, or matchExpressions with the operators In, NotIn, Exists and DoesNotExist",
			"the selector is not valid: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

func (c *checker) servicePort(field string, port intstr.IntOrString) {
	const remedy = "set it to the number or the name of one of the Service's ports"
	switch {
	case port.Type == intstr.Int && port.IntVal == 0, port.Type == intstr.String && port.StrVal == "":
		c.refuse(api.CodeMissingField, field, remedy, "the field is required, and a port is 1 to 65535")
	case port.Type == intstr.Int:
		between(c, field, &port.IntVal, 1, 65535)
	case isDigits(port.StrVal):
		c.refuse(api.CodeInvalidValue, field, "write the number without quotes: "+port.StrVal, "%q is a string, which would be the name of a port", port.StrVal)
	case len(validation.IsDNS1123Label(port.StrVal)) > 0:
		c.refuse(api.CodeInvalidValue, field, remedy, "%q cannot be the name of a Service's port", port.StrVal)
	}
}

func isDigits(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}

func (c *checker) address(field string, a *TunnelAddress) {
	between(c, field+".weight", a.Weight, 0, maxWeight)
	if a.Port == 0 {
		c.refuse(api.CodeMissingField, field+".port", "set it to the port of the address", "the field is required, and a port is 1 to 65535")
	} else {
		between(c, field+".port", &a.Port, 1, 65535)
	}
	at := field + ".address"
	if !c.required(at, a.Address, "an IPv4 or IPv6 address") {
		return
	}
	const remedy = "use the IPv4 or IPv6 address of one backend"
	parsed, err := netip.ParseAddr(a.Address)
	switch {
	case err != nil && len(validation.IsDNS1123Subdomain(strings.ToLower(a.Address))) == 0 && !isDigits(strings.ReplaceAll(a.Address, ".", "")):
		c.refuse(api.CodeInvalidValue, at, "use the address that the name stands for, or a Service", "%q is a DNS name, not an address", a.Address)
	case err != nil:
		c.refuse(api.CodeInvalidValue, at, remedy, "%q is not an IP address", a.Address)
	case parsed.Zone() != "":
		c.refuse(api.CodeInvalidValue, at, remedy, "%q has a zone, which means nothing on another host", a.Address)
	case parsed.IsUnspecified():
		c.refuse(api.CodeInvalidValue, at, remedy, "%q stands for no address in particular", a.Address)
	case parsed.IsMulticast():
		c.refuse(api.CodeInvalidValue, at, remedy, "%q is a multicast address", a.Address)
	case parsed == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		c.refuse(api.CodeInvalidValue, at, remedy, "%q is the broadcast address", a.Address)
	}
}

// hostPort checks a Host: a DNS name or an IP address, and perhaps a port.
func (c *checker) hostPort(field, value string) {
	if value == "" {
		return
	}
	if c.shorter(field, value, maxName); len(value) > maxName {
		return
	}
	host := value
	if at := strings.LastIndexByte(value, ':'); at >= 0 && strings.Count(value, ":") == 1 || strings.HasPrefix(value, "[") && !strings.HasSuffix(value, "]") {
		var port string
		var err error
		if host, port, err = net.SplitHostPort(value); err == nil {
			if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
				c.refuse(api.CodeInvalidValue, field, "use a port from 1 to 65535, or leave it out", "%q has no valid port", value)
			}
		}
	}
	if parsed, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		if parsed.Is6() && !strings.HasPrefix(value, "[") {
			c.refuse(api.CodeInvalidValue, field, fmt.Sprintf("write [%s]", host), "the IPv6 address %q has no brackets", value)
		}
		return
	}
	if len(validation.IsDNS1123Subdomain(strings.ToLower(host))) > 0 {
		c.refuse(api.CodeInvalidValue, field, "use a DNS name or an IP address, perhaps with ':' and a port, such as httpbin.internal:8080",
			"%q is not a host", cmp.Or(value, host))
	}
}
