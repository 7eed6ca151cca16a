package v1alpha1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/api"
)

// problems decodes an object, sets its defaults and returns what is wrong with it, a line each, without the object's name.
func problems(t *testing.T, object interface {
	SetDefaults()
	Validate() []api.Problem
}, text string,
) []string {
	t.Helper()
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), object))
	object.SetDefaults()
	var out []string
	for _, p := range object.Validate() {
		require.NotEmpty(t, p.Remedy, p.Message)
		require.NotEmpty(t, p.Field, p.Message)
		require.Equal(t, Group, p.Object.Group)
		require.EqualValues(t, 7, p.Generation)
		p.Object = api.ObjectRef{}
		out = append(out, p.String())
	}
	return out
}

type validationCase struct {
	name string
	// spec is YAML in flow style.
	spec string
	want []string
}

// many repeats an entry of a list, with # replaced by a number.
func many(n int, entry string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = strings.ReplaceAll(entry, "#", string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	return strings.Join(parts, ", ")
}

const oneService = "services: [{cluster: east, namespace: default, name: httpbin, port: 8000}]"

func TestTunnelValidation(t *testing.T) {
	service := func(fields string) string {
		return "{services: [{cluster: east, namespace: default, name: httpbin, port: 8000, " + fields + "}]}"
	}
	address := func(fields string) string { return "{addresses: [{" + fields + "}]}" }
	with := func(fields string) string { return "{" + oneService + ", " + fields + "}" }
	for _, test := range []validationCase{
		{name: "a service is enough", spec: "{" + oneService + "}"},
		{name: "an address is enough", spec: address("address: '2001:db8::1', port: 80")},
		{name: "20 services and 200 addresses", spec: "{services: [" + many(20, "{cluster: east, namespace: default, name: x#, port: http}") +
			"], addresses: [" + addresses(200) + "]}"},
		{name: "no members", spec: "{}", want: []string{"error NoMembers: spec: the tunnel has neither services nor addresses; list at least one Service in spec.services, or one address in spec.addresses"}},
		{name: "21 services", spec: "{services: [" + many(21, "{cluster: east, namespace: default, name: x#, port: http}") + "]}", want: []string{
			"error TooMany: spec.services: there are 21 entries, and at most 20 may be; leave at most 20",
		}},
		{name: "201 addresses", spec: "{addresses: [" + addresses(201) + "]}", want: []string{"error TooMany: spec.addresses: there are 201 entries, and at most 200 may be; leave at most 200"}},
		{name: "podWeight -1", spec: service("podWeight: -1"), want: []string{"error OutOfRange: spec.services[0].podWeight: -1 is not within 0 to 100; set it to a number from 0 to 100"}},
		{name: "podWeight 101", spec: service("podWeight: 101"), want: []string{"error OutOfRange: spec.services[0].podWeight: 101 is not within 0 to 100; set it to a number from 0 to 100"}},
		{name: "weight 101", spec: address("address: 192.0.2.1, port: 80, weight: 101"), want: []string{"error OutOfRange: spec.addresses[0].weight: 101 is not within 0 to 100; set it to a number from 0 to 100"}},
		{name: "all weights 0", spec: "{services: [{cluster: east, namespace: default, name: httpbin, port: 8000, podWeight: 0}], addresses: [{address: 192.0.2.1, port: 80, weight: 0}]}", want: []string{
			"error AllWeightsZero: spec: all weights of the tunnel are 0, so that nothing takes traffic; give at least one entry a weight above 0",
		}},
		{name: "one weight 0", spec: "{services: [{cluster: east, namespace: default, name: httpbin, port: 8000, podWeight: 0}], addresses: [{address: 192.0.2.1, port: 80}]}"},
		{name: "network", spec: with("network: 'a b'"), want: []string{`error InvalidValue: spec.network: "a b" cannot be the name of a network; use printable ASCII characters without spaces`}},
		{name: "names of a service", spec: "{services: [{cluster: East, namespace: a.b, name: '', port: 80}]}", want: []string{
			`error InvalidName: spec.services[0].cluster: "East" cannot be the name of a MemberCluster; use lower case letters, digits, '-' and '.', at most 253`,
			`error InvalidName: spec.services[0].namespace: "a.b" cannot be the name of a namespace; use lower case letters, digits and '-', at most 63`,
			"error MissingField: spec.services[0].name: the field is required; set it to the name of a Service",
		}},
		{name: "no port", spec: "{services: [{cluster: east, namespace: default, name: httpbin}]}", want: []string{"error MissingField: spec.services[0].port: the field is required, and a port is 1 to 65535; set it to the number or the name of one of the Service's ports"}},
		{name: "port 65536", spec: "{services: [{cluster: east, namespace: default, name: httpbin, port: 65536}]}", want: []string{"error OutOfRange: spec.services[0].port: 65536 is not within 1 to 65535; set it to a number from 1 to 65535"}},
		{name: "port in quotes", spec: "{services: [{cluster: east, namespace: default, name: httpbin, port: '80'}]}", want: []string{`error InvalidValue: spec.services[0].port: "80" is a string, which would be the name of a port; write the number without quotes: 80`}},
		{name: "port name", spec: "{services: [{cluster: east, namespace: default, name: httpbin, port: a_b}]}", want: []string{`error InvalidValue: spec.services[0].port: "a_b" cannot be the name of a Service's port; set it to the number or the name of one of the Service's ports`}},
		{name: "selector operator", spec: service("podSelector: {matchExpressions: [{key: v, operator: Is, values: [x]}]}"), want: []string{
			`error InvalidValue: spec.services[0].podSelector: the selector is not valid: "Is" is not a valid label selector operator; use matchLabels, or matchExpressions with the operators In, NotIn, Exists and DoesNotExist`,
		}},
		{name: "the same entry twice", spec: "{services: [" + many(2, "{cluster: east, namespace: default, name: httpbin, port: http}") + "], addresses: [" + many(2, "{address: 192.0.2.1, port: 80}") + "]}", want: []string{
			"warning DuplicateEntry: spec.services[1]: the entry is the same as spec.services[0], so that their weights add up; remove one of the two",
			"warning DuplicateEntry: spec.addresses[1]: the entry is the same as spec.addresses[0], so that their weights add up; remove one of the two",
		}},
		{name: "one Service with two selectors", spec: "{services: [{cluster: east, namespace: default, name: httpbin, port: 80, podSelector: {matchLabels: {v: a}}}, {cluster: east, namespace: default, name: httpbin, port: 80, podSelector: {matchLabels: {v: b}}}]}"},
		{name: "address is a DNS name", spec: address("address: httpbin.org, port: 80"), want: []string{`error InvalidValue: spec.addresses[0].address: "httpbin.org" is a DNS name, not an address; use the address that the name stands for, or a Service`}},
		{name: "address is nonsense", spec: address("address: 192.0.2.256, port: 80"), want: []string{`error InvalidValue: spec.addresses[0].address: "192.0.2.256" is not an IP address; use the IPv4 or IPv6 address of one backend`}},
		{name: "address is unspecified", spec: address("address: 0.0.0.0, port: 80"), want: []string{`error InvalidValue: spec.addresses[0].address: "0.0.0.0" stands for no address in particular; use the IPv4 or IPv6 address of one backend`}},
		{name: "address is multicast", spec: address("address: 'ff02::1', port: 80"), want: []string{`error InvalidValue: spec.addresses[0].address: "ff02::1" is a multicast address; use the IPv4 or IPv6 address of one backend`}},
		{name: "address is broadcast", spec: address("address: 255.255.255.255, port: 80"), want: []string{`error InvalidValue: spec.addresses[0].address: "255.255.255.255" is the broadcast address; use the IPv4 or IPv6 address of one backend`}},
		{name: "address with a zone", spec: address("address: 'fe80::1%eth0', port: 80"), want: []string{`error InvalidValue: spec.addresses[0].address: "fe80::1%eth0" has a zone, which means nothing on another host; use the IPv4 or IPv6 address of one backend`}},
		{name: "no address, no port", spec: address(""), want: []string{
			"error MissingField: spec.addresses[0].port: the field is required, and a port is 1 to 65535; set it to the port of the address",
			"error MissingField: spec.addresses[0].address: the field is required; set it to an IPv4 or IPv6 address",
		}},
		{name: "port of an address", spec: address("address: 192.0.2.1, port: -1"), want: []string{"error OutOfRange: spec.addresses[0].port: -1 is not within 1 to 65535; set it to a number from 1 to 65535"}},
		{name: "protocol", spec: with("protocol: HTTP3"), want: []string{`error InvalidValue: spec.protocol: "HTTP3" is none of the values that the field may have; use HTTP, HTTP2 or GRPC`}},
		{name: "host with a port", spec: with("hostHeader: 'HTTPbin.internal:8080'")},
		{name: "host is IPv6", spec: with("hostHeader: '[2001:db8::1]:8080'")},
		{name: "host is IPv4", spec: with("hostHeader: 192.0.2.1")},
		{name: "host with a space", spec: with("hostHeader: 'a b'"), want: []string{`error InvalidValue: spec.hostHeader: "a b" is not a host; use a DNS name or an IP address, perhaps with ':' and a port, such as httpbin.internal:8080`}},
		{name: "host with a wildcard", spec: with("hostHeader: '*.example.com'"), want: []string{`error InvalidValue: spec.hostHeader: "*.example.com" is not a host; use a DNS name or an IP address, perhaps with ':' and a port, such as httpbin.internal:8080`}},
		{name: "host with a scheme", spec: with("hostHeader: 'http://a'"), want: []string{
			`error InvalidValue: spec.hostHeader: "http://a" has no valid port; use a port from 1 to 65535, or leave it out`,
		}},
		{name: "host with port 0", spec: with("hostHeader: 'a:0'"), want: []string{`error InvalidValue: spec.hostHeader: "a:0" has no valid port; use a port from 1 to 65535, or leave it out`}},
		{name: "host is IPv6 without brackets", spec: with("hostHeader: '2001:db8::1'"), want: []string{`error InvalidValue: spec.hostHeader: the IPv6 address "2001:db8::1" has no brackets; write [2001:db8::1]`}},
		{name: "host too long", spec: with("hostHeader: " + strings.Repeat("a.", 130) + "a"), want: []string{
			"error OutOfRange: spec.hostHeader: the value has 261 bytes, and at most 253 may be; shorten it to at most 253 bytes",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { checkTunnel(t, test) })
	}
}

func checkTunnel(t *testing.T, test validationCase) {
	t.Helper()
	require.Equal(t, test.want, problems(t, &Tunnel{}, "{metadata: {generation: 7}, spec: "+test.spec+"}"))
}

// addresses are n different ones.
func addresses(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = "{address: '2001:db8::" + string("0123456789abcdef"[i/16]) + string("0123456789abcdef"[i%16]) + "', port: 80}"
	}
	return strings.Join(parts, ", ")
}

func TestTunnelTLSValidation(t *testing.T) {
	tls := func(fields string) string { return "{" + oneService + ", tls: {" + fields + "}}" }
	for _, test := range []validationCase{
		{name: "system authorities and a hostname", spec: tls("hostname: a.example, wellKnownCACertificates: System")},
		{name: "authorities and names", spec: tls("subjectAltNames: [{type: URI, value: 'spiffe://td/ns/a'}, {type: DNS, value: a.example}], caCertificateRefs: [{name: ca}, {kind: Secret, name: ca, namespace: other}], clientCertificateRef: {name: client}")},
		{name: "not verified", spec: tls("insecureSkipVerify: true, hostname: a.example")},
		{name: "nothing trusted", spec: tls("hostname: a.example"), want: []string{"error MissingField: spec.tls: nothing says which certificate authorities are trusted; set caCertificateRefs, or wellKnownCACertificates: System, or insecureSkipVerify: true to believe anybody"}},
		{name: "two kinds of trust", spec: tls("hostname: a.example, wellKnownCACertificates: System, insecureSkipVerify: true"), want: []string{"error Conflict: spec.tls: wellKnownCACertificates and insecureSkipVerify exclude each other; keep one of them"}},
		{name: "no name to verify", spec: tls("wellKnownCACertificates: System"), want: []string{"error MissingField: spec.tls.hostname: the certificate is verified, but nothing says which name it must have; set hostname or subjectAltNames to the name that the Pods' certificate has"}},
		{name: "names that are not verified", spec: tls("insecureSkipVerify: true, subjectAltNames: [{type: DNS, value: a}]"), want: []string{"error Conflict: spec.tls.subjectAltNames: no name is verified while insecureSkipVerify is true; remove subjectAltNames, or verify with caCertificateRefs or wellKnownCACertificates"}},
		{name: "hostname with a port", spec: tls("hostname: 'a:1', wellKnownCACertificates: System"), want: []string{`error InvalidValue: spec.tls.hostname: "a:1" is not a host name; use a DNS name, such as httpbin.example.com`}},
		{name: "well-known set", spec: tls("hostname: a, wellKnownCACertificates: Mozilla"), want: []string{`error InvalidValue: spec.tls.wellKnownCACertificates: "Mozilla" is none of the values that the field may have; use System`}},
		{name: "names", spec: tls("wellKnownCACertificates: System, subjectAltNames: [{type: IP, value: a}, {type: DNS, value: '*.a'}, {type: URI, value: a}, {}]"), want: []string{
			`error InvalidValue: spec.tls.subjectAltNames[0].type: "IP" is none of the values that the field may have; use DNS or URI`,
			`error InvalidValue: spec.tls.subjectAltNames[1].value: "*.a" is not a host name; use a DNS name without a wildcard, such as httpbin.example.com`,
			`error InvalidValue: spec.tls.subjectAltNames[2].value: "a" is not a URI; use a URI with a scheme, such as spiffe://cluster.local/ns/default/sa/httpbin`,
			"error MissingField: spec.tls.subjectAltNames[3].type: the field is required; set it to DNS or URI",
			"error MissingField: spec.tls.subjectAltNames[3].value: the field is required; set it to the name that the certificate has",
		}},
		{name: "too many names and authorities", spec: tls("subjectAltNames: [" + many(6, "{type: DNS, value: a#}") + "], caCertificateRefs: [" + many(9, "{name: a#}") + "]"), want: []string{
			"error TooMany: spec.tls.subjectAltNames: there are 6 entries, and at most 5 may be; leave at most 5",
			"error TooMany: spec.tls.caCertificateRefs: there are 9 entries, and at most 8 may be; leave at most 8",
		}},
		{name: "references", spec: tls("hostname: a, caCertificateRefs: [{kind: Pod, name: A, namespace: B}], clientCertificateRef: {kind: ConfigMap, name: ''}"), want: []string{
			`error InvalidValue: spec.tls.caCertificateRefs[0].kind: "Pod" is none of the values that the field may have; use ConfigMap or Secret`,
			`error InvalidName: spec.tls.caCertificateRefs[0].name: "A" cannot be the name of a ConfigMap or Secret; use lower case letters, digits, '-' and '.', at most 253`,
			`error InvalidName: spec.tls.caCertificateRefs[0].namespace: "B" cannot be the name of a namespace; use lower case letters, digits and '-', at most 63`,
			`error InvalidValue: spec.tls.clientCertificateRef.kind: "ConfigMap" is none of the values that the field may have; use Secret`,
			"error MissingField: spec.tls.clientCertificateRef.name: the field is required; set it to the name of a Secret",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { checkTunnel(t, test) })
	}
}

func TestTunnelTrafficValidation(t *testing.T) {
	with := func(fields string) string { return "{" + oneService + ", " + fields + "}" }
	lb := func(fields string) string { return with("loadBalancer: {" + fields + "}") }
	unequal := func(fields string) string {
		return "{" + oneService + ", addresses: [{address: 192.0.2.1, port: 80, weight: 10}], loadBalancer: {" + fields + "}}"
	}
	active := func(fields string) string { return with("healthCheck: {active: {" + fields + "}}") }
	for _, test := range []validationCase{
		{name: "retry", spec: with("retry: {attempts: 11, 'on': [Reset, Never, Reset, ''], perTryTimeout: 0s}"), want: []string{
			"error OutOfRange: spec.retry.attempts: 11 is not within 0 to 10; set it to a number from 0 to 10",
			`error InvalidValue: spec.retry.on[1]: "Never" is none of the values that the field may have; use ConnectFailure, RefusedStream, ResetBeforeRequest, Reset, GatewayError, ServerError, Retriable4xx, GRPCUnavailable, GRPCCancelled, GRPCDeadlineExceeded, GRPCResourceExhausted or GRPCInternal`,
			"warning DuplicateEntry: spec.retry.on[2]: Reset is there twice; remove one of the two",
			"error MissingField: spec.retry.on[3]: the field is required; set it to a reason for a retry",
			`error OutOfRange: spec.retry.perTryTimeout: the duration 0s is not more than 0; set it to more than 0`,
		}},
		{name: "gRPC's reasons over HTTP/1", spec: with("protocol: HTTP, retry: {'on': [GRPCUnavailable]}"), want: []string{"warning Conflict: spec.retry.on[0]: GRPCUnavailable never happens with protocol HTTP; set spec.protocol to GRPC, or remove it"}},
		{name: "timeouts", spec: with("timeout: {connect: 0s, idle: 0s, connectionIdle: 1d}"), want: []string{
			"error OutOfRange: spec.timeout.connect: the duration 0s is not more than 0; set it to more than 0",
			`error InvalidValue: spec.timeout.connectionIdle: "1d" is not a duration; write a duration as Gateway API does: up to 4 numbers of at most 5 digits with h, m, s or ms, such as 1m30s`,
		}},
		{name: "durations of Go alone", spec: with("timeout: {connect: 1.5s, idle: -1s, connectionIdle: 100us}"), want: []string{
			`error InvalidValue: spec.timeout.connect: "1.5s" is not a duration; write a duration as Gateway API does: up to 4 numbers of at most 5 digits with h, m, s or ms, such as 1m30s`,
			`error InvalidValue: spec.timeout.idle: "-1s" is not a duration; write a duration as Gateway API does: up to 4 numbers of at most 5 digits with h, m, s or ms, such as 1m30s`,
			`error InvalidValue: spec.timeout.connectionIdle: "100us" is not a duration; write a duration as Gateway API does: up to 4 numbers of at most 5 digits with h, m, s or ms, such as 1m30s`,
		}},
		{name: "circuit breaker", spec: with("circuitBreaker: {maxConnections: 0, maxPendingRequests: -1, maxParallelRequests: 4294967296, maxParallelRetries: 0}"), want: []string{
			"error OutOfRange: spec.circuitBreaker.maxConnections: 0 is not within 1 to 4294967295; set it to a number from 1 to 4294967295",
			"error OutOfRange: spec.circuitBreaker.maxPendingRequests: -1 is not within 1 to 4294967295; set it to a number from 1 to 4294967295",
			"error OutOfRange: spec.circuitBreaker.maxParallelRequests: 4294967296 is not within 1 to 4294967295; set it to a number from 1 to 4294967295",
			"error OutOfRange: spec.circuitBreaker.maxParallelRetries: 0 is not within 1 to 4294967295; set it to a number from 1 to 4294967295",
		}},
		{name: "load balancer type", spec: lb("type: Random"), want: []string{`error InvalidValue: spec.loadBalancer.type: "Random" is none of the values that the field may have; use WeightedRoundRobin, WeightedRandom, LeastRequest or ConsistentHash`}},
		{name: "nothing to hash", spec: lb("type: ConsistentHash"), want: []string{"error MissingField: spec.loadBalancer.consistentHash: type ConsistentHash needs to know what is hashed; set header, cookie, queryParameter or sourceIP in it"}},
		{name: "hash without the type", spec: lb("consistentHash: {sourceIP: true}"), want: []string{"error Conflict: spec.loadBalancer.consistentHash: nothing is hashed with the default type; set spec.loadBalancer.type to ConsistentHash, or remove it"}},
		{name: "an empty hash", spec: lb("type: ConsistentHash, consistentHash: {}"), want: []string{"error MissingField: spec.loadBalancer.consistentHash: nothing says what is hashed; set header, cookie, queryParameter or sourceIP"}},
		{name: "two hashes", spec: lb("type: ConsistentHash, consistentHash: {header: x-user, queryParameter: u}"), want: []string{"error Conflict: spec.loadBalancer.consistentHash: header and queryParameter exclude each other; keep one of them"}},
		{name: "hashed header", spec: lb("type: ConsistentHash, consistentHash: {header: 'x user'}"), want: []string{`error InvalidValue: spec.loadBalancer.consistentHash.header: "x user" cannot be the name of a header; use letters, digits and '-', such as x-user`}},
		{name: "hashed cookie", spec: lb("type: ConsistentHash, consistentHash: {cookie: {name: 'a;b', ttl: 1w, path: a}}"), want: []string{
			`error InvalidValue: spec.loadBalancer.consistentHash.cookie.name: "a;b" cannot be the name of a cookie; use letters, digits, '-' and '_'`,
			`error InvalidValue: spec.loadBalancer.consistentHash.cookie.ttl: "1w" is not a duration; write a duration as Gateway API does: up to 4 numbers of at most 5 digits with h, m, s or ms, such as 1m30s`,
			`error InvalidValue: spec.loadBalancer.consistentHash.cookie.path: "a" cannot be the path of a cookie; use a path that begins with '/'`,
		}},
		{name: "slow start with round robin", spec: unequal("type: WeightedRoundRobin, slowStart: {window: 30s}")},
		{name: "slow start by default with equal weights", spec: lb("slowStart: {window: 30s}")},
		{name: "slow start without a window", spec: lb("slowStart: {}"), want: []string{"error MissingField: spec.loadBalancer.slowStart.window: the field is required; set it to a duration, such as 30s"}},
		{name: "slow start with weighted random", spec: lb("type: WeightedRandom, slowStart: {window: 30s}"), want: []string{"error Conflict: spec.loadBalancer.slowStart: slow start does not work with type WeightedRandom; set spec.loadBalancer.type to WeightedRoundRobin or LeastRequest, or remove slowStart"}},
		{name: "slow start with a hash", spec: lb("type: ConsistentHash, consistentHash: {sourceIP: true}, slowStart: {window: 0s}"), want: []string{
			"error OutOfRange: spec.loadBalancer.slowStart.window: the duration 0s is not more than 0; set it to more than 0",
			"error Conflict: spec.loadBalancer.slowStart: slow start does not work with type ConsistentHash; set spec.loadBalancer.type to WeightedRoundRobin or LeastRequest, or remove slowStart",
		}},
		{name: "slow start by default with unequal weights", spec: unequal("slowStart: {window: 30s}"), want: []string{
			"error Conflict: spec.loadBalancer.slowStart: slow start does not work with type WeightedRandom, which is the default while weights differ (10 to 100); set spec.loadBalancer.type to WeightedRoundRobin or LeastRequest, or remove slowStart",
		}},
		{name: "HTTP check", spec: active("type: HTTP, path: /healthz, host: 'a:80', expectedStatuses: [{from: 200, to: 204}, {from: 301}], interval: 100ms")},
		{name: "fields of another check", spec: active("type: TCP, path: /, host: a, service: s, expectedStatuses: [{from: 200}]"), want: []string{
			"error Conflict: spec.healthCheck.active.path: path means nothing to a check of type TCP; set the type of the check to HTTP, or remove path",
			"error Conflict: spec.healthCheck.active.expectedStatuses: expectedStatuses means nothing to a check of type TCP; set the type of the check to HTTP, or remove expectedStatuses",
			"error Conflict: spec.healthCheck.active.host: host means nothing to a check of type TCP; set the type of the check to HTTP or GRPC, or remove host",
			"error Conflict: spec.healthCheck.active.service: service means nothing to a check of type TCP; set the type of the check to GRPC, or remove service",
		}},
		{name: "a path with gRPC", spec: with("protocol: GRPC, healthCheck: {active: {path: /}}"), want: []string{
			"error Conflict: spec.healthCheck.active.path: path means nothing to a check of type GRPC; set the type of the check to HTTP, or remove path",
		}},
		{name: "values of a check", spec: active("type: UDP, path: a, host: '*', interval: 99ms, timeout: 0s, healthyThreshold: 0, unhealthyThreshold: 101"), want: []string{
			`error InvalidValue: spec.healthCheck.active.type: "UDP" is none of the values that the field may have; use HTTP, TCP or GRPC`,
			"error Conflict: spec.healthCheck.active.path: path means nothing to a check of type UDP; set the type of the check to HTTP, or remove path",
			"error Conflict: spec.healthCheck.active.host: host means nothing to a check of type UDP; set the type of the check to HTTP or GRPC, or remove host",
			`error InvalidValue: spec.healthCheck.active.path: "a" is not a path; use a path that begins with '/', such as /healthz`,
			`error InvalidValue: spec.healthCheck.active.host: "*" is not a host; use a DNS name or an IP address, perhaps with ':' and a port, such as httpbin.internal:8080`,
			"error OutOfRange: spec.healthCheck.active.interval: the duration 99ms is less than 100ms; set it to at least 100ms",
			"error OutOfRange: spec.healthCheck.active.timeout: the duration 0s is not more than 0; set it to more than 0",
			"error OutOfRange: spec.healthCheck.active.healthyThreshold: 0 is not within 1 to 100; set it to a number from 1 to 100",
			"error OutOfRange: spec.healthCheck.active.unhealthyThreshold: 101 is not within 1 to 100; set it to a number from 1 to 100",
		}},
		{name: "statuses", spec: active("expectedStatuses: [{from: 99, to: 100}, {from: 300, to: 200}, {from: 500, to: 600}]"), want: []string{
			"error OutOfRange: spec.healthCheck.active.expectedStatuses[0].from: 99 is not within 100 to 599; set it to a number from 100 to 599",
			"error Conflict: spec.healthCheck.active.expectedStatuses[1].to: the range ends at 200, before it begins at 300; set it to from or more, or leave it out",
			"error OutOfRange: spec.healthCheck.active.expectedStatuses[2].to: 600 is not within 100 to 599; set it to a number from 100 to 599",
		}},
		{name: "too many statuses", spec: active("expectedStatuses: [" + many(17, "{from: 200}") + "]"), want: []string{"error TooMany: spec.healthCheck.active.expectedStatuses: there are 17 entries, and at most 16 may be; leave at most 16"}},
		{name: "passive check", spec: with("healthCheck: {passive: {consecutiveErrors: 0, interval: 1ms, ejectionTime: 999ms, maxEjectionPercent: 101}}"), want: []string{
			"error OutOfRange: spec.healthCheck.passive.consecutiveErrors: 0 is not within 1 to 1000; set it to a number from 1 to 1000",
			"error OutOfRange: spec.healthCheck.passive.interval: the duration 1ms is less than 100ms; set it to at least 100ms",
			"error OutOfRange: spec.healthCheck.passive.ejectionTime: the duration 999ms is less than 1s; set it to at least 1s",
			"error OutOfRange: spec.healthCheck.passive.maxEjectionPercent: 101 is not within 1 to 100; set it to a number from 1 to 100",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { checkTunnel(t, test) })
	}
}

func TestMemberClusterValidation(t *testing.T) {
	source := func(fields string) string { return "{source: {" + fields + "}}" }
	allowed := func(entry string) string {
		return "{source: {type: Objects, objects: {directory: east}}, allowedTunnels: [" + entry + "]}"
	}
	braked := func(brake string) string {
		return "{source: {type: Objects, objects: {directory: east}}, brake: " + brake + "}"
	}
	for _, test := range []validationCase{
		{name: "objects", spec: source("type: Objects, objects: {directory: clusters/east}")},
		{name: "a file", spec: source("type: Kubeconfig, kubeconfig: {file: east.kubeconfig}")},
		{name: "a Secret", spec: source("type: Kubeconfig, kubeconfig: {secretRef: {namespace: podway, name: east}}")},
		{name: "no source", spec: "{source: {}}", want: []string{"error MissingField: spec.source.type: the field is required; set it to Kubeconfig or Objects"}},
		{name: "source type", spec: source("type: File"), want: []string{`error InvalidValue: spec.source.type: "File" is none of the values that the field may have; use Kubeconfig or Objects`}},
		{name: "no kubeconfig", spec: source("type: Kubeconfig"), want: []string{"error MissingField: spec.source.kubeconfig: type Kubeconfig needs the field kubeconfig; set file or secretRef in it"}},
		{name: "no objects", spec: source("type: Objects"), want: []string{"error MissingField: spec.source.objects: type Objects needs the field objects; set directory in it"}},
		{name: "no directory", spec: source("type: Objects, objects: {}"), want: []string{"error MissingField: spec.source.objects.directory: the field is required; set it to a directory below the configuration directory"}},
		{name: "both", spec: source("type: Objects, objects: {directory: a}, kubeconfig: {file: b}"), want: []string{"error Conflict: spec.source.kubeconfig: the field is set, but the type of the source is Objects; remove it, or change spec.source.type"}},
		{name: "neither file nor Secret", spec: source("type: Kubeconfig, kubeconfig: {}"), want: []string{"error MissingField: spec.source.kubeconfig: nothing says where the kubeconfig is; set file or secretRef"}},
		{name: "file and Secret", spec: source("type: Kubeconfig, kubeconfig: {file: a, secretRef: {namespace: b, name: c}}"), want: []string{"error Conflict: spec.source.kubeconfig: file and secretRef exclude each other; keep one of them"}},
		{name: "Secret", spec: source("type: Kubeconfig, kubeconfig: {secretRef: {namespace: B, name: ''}}"), want: []string{
			`error InvalidName: spec.source.kubeconfig.secretRef.namespace: "B" cannot be the name of a namespace; use lower case letters, digits and '-', at most 63`,
			"error MissingField: spec.source.kubeconfig.secretRef.name: the field is required; set it to the name of a Secret",
		}},
		{name: "directory above", spec: source("type: Objects, objects: {directory: a/../../b}"), want: []string{`error InvalidValue: spec.source.objects.directory: the path "a/../../b" has '..' in it; use a path below the configuration directory, such as clusters/east`}},
		{name: "absolute directory", spec: source("type: Objects, objects: {directory: /etc}"), want: []string{`error InvalidValue: spec.source.objects.directory: the path "/etc" is absolute; use a path below the configuration directory, such as clusters/east`}},
		{name: "the directory itself", spec: source("type: Objects, objects: {directory: ./}"), want: []string{`error InvalidValue: spec.source.objects.directory: the path "./" is the configuration directory itself; use a path below the configuration directory, such as clusters/east`}},
		{name: "file above", spec: source("type: Kubeconfig, kubeconfig: {file: ../east}"), want: []string{`error InvalidValue: spec.source.kubeconfig.file: the path "../east" has '..' in it; use a path below the configuration directory, such as clusters/east`}},
		{name: "NUL in a path", spec: source(`type: Kubeconfig, kubeconfig: {file: "a\0"}`), want: []string{`error InvalidValue: spec.source.kubeconfig.file: the path has a NUL character; use a path below the configuration directory, such as clusters/east`}},
		{name: "policy", spec: "{source: {type: Objects, objects: {directory: a}}, trafficPolicy: Stopped, clusterUID: " + strings.Repeat("x", 65) + "}", want: []string{
			"error OutOfRange: spec.clusterUID: the value has 65 bytes, and at most 64 may be; shorten it to at most 64 bytes",
			`error InvalidValue: spec.trafficPolicy: "Stopped" is none of the values that the field may have; use Active or Drained`,
		}},
		{name: "brake", spec: braked("{percent: 1, minPods: 100000, limit: 24h}")},
		{name: "brake off", spec: braked("{percent: 100}")},
		{name: "a brake as the flags say", spec: braked("{}")},
		{name: "too little of a brake", spec: braked("{percent: 0, minPods: 0, limit: 0s}"), want: []string{
			"error OutOfRange: spec.brake.percent: 0 is not within 1 to 100; set it to a number from 1 to 100",
			"error OutOfRange: spec.brake.minPods: 0 is not within 1 to 100000; set it to a number from 1 to 100000",
			"error OutOfRange: spec.brake.limit: the duration 0s is not more than 0; set it to more than 0",
		}},
		{name: "too much of a brake", spec: braked("{percent: 101, minPods: 100001, limit: 24h1ms}"), want: []string{
			"error OutOfRange: spec.brake.percent: 101 is not within 1 to 100; set it to a number from 1 to 100",
			"error OutOfRange: spec.brake.minPods: 100001 is not within 1 to 100000; set it to a number from 1 to 100000",
			"error OutOfRange: spec.brake.limit: the duration 24h1ms is more than 24h; set it to at most 24h",
		}},
		{name: "a brake's limit", spec: braked("{limit: 1d}"), want: []string{
			`error InvalidValue: spec.brake.limit: "1d" is not a duration; write a duration as Gateway API does: up to 4 numbers of at most 5 digits with h, m, s or ms, such as 1m30s`,
		}},
		{name: "everybody", spec: allowed("{from: ['*'], to: ['*']}")},
		{name: "nobody", spec: allowed("{from: [], to: []}"), want: []string{
			`error TooFew: spec.allowedTunnels[0].from: the list is empty, so that the entry allows nothing; list namespaces of tunnels, or "*" for all`,
			`error TooFew: spec.allowedTunnels[0].to: the list is empty, so that the entry allows nothing; list namespaces of this cluster, or "*" for all`,
		}},
		{name: "namespaces", spec: allowed("{from: [team-*, A], to: ['*', b]}"), want: []string{
			`error InvalidValue: spec.allowedTunnels[0].from[0]: "team-*" is a pattern, and patterns are not supported; use "*" alone for all, or the whole name of a namespace`,
			`error InvalidName: spec.allowedTunnels[0].from[1]: "A" cannot be the name of a namespace; use lower case letters, digits and '-', at most 63`,
			`warning DuplicateEntry: spec.allowedTunnels[0].to[0]: "*" is all namespaces, so that the others say nothing; keep "*" alone, or remove it`,
		}},
		{name: "too many", spec: allowed(many(257, "{from: [a], to: ["+many(1, "b")+"]}")), want: []string{"error TooMany: spec.allowedTunnels: there are 257 entries, and at most 256 may be; leave at most 256"}},
		{name: "too many namespaces", spec: allowed("{from: [" + many(65, "a#") + "], to: [b]}"), want: []string{"error TooMany: spec.allowedTunnels[0].from: there are 65 entries, and at most 64 may be; leave at most 64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, problems(t, &MemberCluster{}, "{metadata: {generation: 7}, spec: "+test.spec+"}"))
		})
	}
}

func TestGatewayParametersValidation(t *testing.T) {
	for _, test := range []validationCase{
		{name: "nothing set", spec: "{}"},
		{name: "everything set", spec: "{network: a, listenAddress: '::', accessLog: {path: /var/log/a, format: Text}, trustedProxyHops: 32, proxyProtocol: true, podHeader: X-Podway-Pod}"},
		{name: "address", spec: "{listenAddress: localhost}", want: []string{`error InvalidValue: spec.listenAddress: "localhost" is not an IP address; use an IPv4 or IPv6 address, such as 0.0.0.0 or ::`}},
		{name: "broadcast address", spec: "{listenAddress: 255.255.255.255}", want: []string{`error InvalidValue: spec.listenAddress: nothing can listen on "255.255.255.255"; use an IPv4 or IPv6 address, such as 0.0.0.0 or ::`}},
		{name: "link-local address", spec: "{listenAddress: 'fe80::1'}", want: []string{`error InvalidValue: spec.listenAddress: nothing can listen on "fe80::1"; use an IPv4 or IPv6 address, such as 0.0.0.0 or ::`}},
		{name: "IPv4 as IPv6", spec: "{listenAddress: '::ffff:192.0.2.1'}", want: []string{`error InvalidValue: spec.listenAddress: Envoy cannot listen on the IPv4 address "::ffff:192.0.2.1" as one of IPv6; write it as 192.0.2.1`}},
		{name: "multicast address", spec: "{listenAddress: 224.0.0.1}", want: []string{`error InvalidValue: spec.listenAddress: nothing can listen on "224.0.0.1"; use an IPv4 or IPv6 address, such as 0.0.0.0 or ::`}},
		{name: "access log", spec: "{accessLog: {path: access.log, format: CSV}}", want: []string{
			`error InvalidValue: spec.accessLog.format: "CSV" is none of the values that the field may have; use JSON or Text`,
			`error InvalidValue: spec.accessLog.path: "access.log" is not an absolute path; use an absolute path, such as /dev/stdout`,
		}},
		{name: "hops", spec: "{trustedProxyHops: 33}", want: []string{"error OutOfRange: spec.trustedProxyHops: 33 is not within 0 to 32; set it to a number from 0 to 32"}},
		{name: "header", spec: "{podHeader: 'x pod'}", want: []string{`error InvalidValue: spec.podHeader: "x pod" cannot be the name of a header; use letters, digits and '-', such as x-user`}},
		{name: "length", spec: "{podHeader: Content-Length}", want: []string{`error InvalidValue: spec.podHeader: "Content-Length" has a meaning of its own; use a name of its own, such as x-podway-pod`}},
		{name: "Host", spec: "{podHeader: Host}", want: []string{`error InvalidValue: spec.podHeader: "Host" has a meaning of its own; use a name of its own, such as x-podway-pod`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, problems(t, &GatewayParameters{}, "{metadata: {generation: 7}, spec: "+test.spec+"}"))
		})
	}
}
