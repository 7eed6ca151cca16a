package translator

import "strings"

// clue leads from what Envoy says to the field of an object that it was made from.
type clue struct {
	// step is the first field of a violated constraint's path; word, what the message has in it otherwise.
	step, word string
	field      string
}

// clues are by kind, the more certain ones first.
var clues = map[string][]clue{
	"Tunnel": {
		{step: "HealthChecks", field: "spec.healthCheck.active"},
		{step: "OutlierDetection", field: "spec.healthCheck.passive"},
		{step: "CircuitBreakers", field: "spec.circuitBreaker"},
		{step: "ConnectTimeout", field: "spec.timeout.connect"},
		{step: "TransportSocket", field: "spec.tls"},
		{step: "MaglevLbConfig", field: "spec.loadBalancer"},
		{step: "RingHashLbConfig", field: "spec.loadBalancer"},
		{step: "RoundRobinLbConfig", field: "spec.loadBalancer"},
		{step: "LeastRequestLbConfig", field: "spec.loadBalancer"},
		{word: "trusted CA", field: "spec.tls.caCertificateRefs"},
		{word: "certificate chain", field: "spec.tls.clientCertificateRef"},
		{word: "private key", field: "spec.tls.clientCertificateRef"},
		{word: "maglev", field: "spec.loadBalancer"},
		{word: "ring hash", field: "spec.loadBalancer"},
		{word: "health check", field: "spec.healthCheck.active"},
		{word: "TLS", field: "spec.tls"},
	},
	"Gateway": {
		{step: "Address", field: "spec.listeners"},
		{step: "FilterChains", field: "spec.listeners"},
		{word: "cannot bind", field: "spec.listeners"},
		{word: "filter chain", field: "spec.listeners"},
	},
	kindSecret: {
		{word: "private key", field: "data[tls.key]"},
		{word: "certificate chain", field: "data[tls.crt]"},
		{word: "trusted CA", field: "data[ca.crt]"},
	},
	kindConfigMap: {
		{word: "trusted CA", field: "data[ca.crt]"},
	},
}

// fieldOf is the field of an object of a kind, empty where it cannot be told.
func fieldOf(kind string, path []protoStep, message string) string {
	for _, c := range clues[kind] {
		switch {
		case c.step != "":
			if len(path) > 0 && path[0].field == c.step {
				return c.field
			}
		case strings.Contains(strings.ToLower(message), strings.ToLower(c.word)):
			return c.field
		}
	}
	return ""
}
