package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// gatewayYAML is the Gateway edge/front with what it needs, and further listeners.
func (w *world) gatewayYAML(listeners string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
apiVersion: podway.dev/v1alpha1
kind: GatewayParameters
metadata: {name: front, namespace: edge}
spec: {listenAddress: %s, podHeader: x-podway-pod}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  gatewayClassName: podway
  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: front}}
  listeners:
  - {name: http, protocol: HTTP, port: %d}
%s`, w.http.Addr(), w.http.Port(), listeners)
}

func memberClusterYAML(name, policy string) string {
	return fmt.Sprintf(`
apiVersion: podway.dev/v1alpha1
kind: MemberCluster
metadata: {name: %[1]s}
spec:
  source: {type: Objects, objects: {directory: %[1]s}}
  trafficPolicy: %[2]s
  allowedTunnels: [{from: [edge], to: [default]}]
`, name, policy)
}

// tunnelYAML is a tunnel of the namespace edge; spec is lines without indentation.
func tunnelYAML(name string, spec ...string) string {
	return fmt.Sprintf("---\napiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: %s, namespace: edge}\nspec:\n  %s\n",
		name, strings.Join(spec, "\n  "))
}

// members is the services of a tunnel: CLUSTER/NAME=WEIGHT each.
func members(entries ...string) string {
	lines := []string{"services:"}
	for _, entry := range entries {
		service, weight, _ := strings.Cut(entry, "=")
		cluster, name, _ := strings.Cut(service, "/")
		lines = append(lines, fmt.Sprintf("- {cluster: %s, namespace: default, name: %s, port: http, podWeight: %s}", cluster, name, weight))
	}
	return strings.Join(lines, "\n  ")
}

// routeYAML is an HTTPRoute of a host, with one rule whose backends are tunnels; extra is further fields of the rule.
func routeYAML(name, host string, tunnels []string, extra ...string) string {
	var backends []string
	for _, tunnel := range tunnels {
		backends = append(backends, "{group: podway.dev, kind: Tunnel, name: "+tunnel+"}")
	}
	lines := append([]string{"backendRefs: [" + strings.Join(backends, ", ") + "]"}, extra...)
	return fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, namespace: edge}
spec:
  parentRefs: [{name: front}]
  hostnames: [%s]
  rules:
  - %s
`, name, host, strings.Join(lines, "\n    "))
}

// caYAML is a ConfigMap with a certificate as an authority.
func caYAML(name, certificate string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: edge}\ndata:\n  ca.crt: |\n%s", name, indent(certificate))
}

func portOf(address netip.AddrPort) string { return strconv.Itoa(int(address.Port())) }
