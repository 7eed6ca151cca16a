package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// The headers in which a Pod says who it is and what Host it was asked for.
const (
	podHeader  = "X-Pod"
	hostHeader = "X-Host"
)

// gatewayYAML is the Gateway edge/front at an address, without an access log, and the cluster east.
func gatewayYAML(listen netip.AddrPort) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
apiVersion: podway.dev/v1alpha1
kind: GatewayParameters
metadata: {name: front, namespace: edge}
spec: {listenAddress: %s, accessLog: {path: /dev/null}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  gatewayClassName: podway
  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: front}}
  listeners: [{name: http, protocol: HTTP, port: %d}]
---
apiVersion: podway.dev/v1alpha1
kind: MemberCluster
metadata: {name: east}
spec:
  source: {type: Objects, objects: {directory: east}}
  allowedTunnels: [{from: [edge], to: [default]}]
`, listen.Addr(), listen.Port())
}

// serviceYAML is a Service of the cluster east with one Pod.
func serviceYAML(name, pod string, address netip.AddrPort) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: default}
spec: {selector: {app: %[1]s}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, namespace: default, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{name: http, port: %[4]d, protocol: TCP}]
endpoints:
- {addresses: [%[3]s], conditions: {ready: true}, targetRef: {kind: Pod, namespace: default, name: %[2]s}}
`, name, pod, address.Addr(), address.Port())
}

// tunnelYAML is a tunnel of that name and a route of the host NAME.example to it; spec is lines of the tunnel.
func tunnelYAML(name string, spec ...string) string {
	return fmt.Sprintf(`---
apiVersion: podway.dev/v1alpha1
kind: Tunnel
metadata: {name: %[1]s, namespace: edge}
spec:
  %[2]s
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s, namespace: edge}
spec:
  parentRefs: [{name: front}]
  hostnames: [%[1]s.example]
  rules: [{backendRefs: [{group: podway.dev, kind: Tunnel, name: %[1]s}]}]
`, name, strings.Join(spec, "\n  "))
}

// services are those of a tunnel, as NAME=WEIGHT each.
func services(entries ...string) string {
	lines := []string{"services:"}
	for _, entry := range entries {
		name, weight, _ := strings.Cut(entry, "=")
		lines = append(lines, fmt.Sprintf("- {cluster: east, namespace: default, name: %s, port: http, podWeight: %s}", name, weight))
	}
	return strings.Join(lines, "\n  ")
}

// otherTunnels are tunnels that nobody asks for, of 10 addresses each.
func otherTunnels(count int) string {
	var out strings.Builder
	for i := range count {
		lines := []string{"addresses:"}
		for n := range 10 {
			lines = append(lines, fmt.Sprintf("- {address: 192.0.2.%d, port: %d}", n+1, 1000+i))
		}
		out.WriteString(tunnelYAML(fmt.Sprintf("other-%d", i), strings.Join(lines, "\n  ")))
	}
	return out.String()
}
