//go:build clusters

package clusters

import (
	"fmt"
	"strings"
)

// gatewayYAML are the Gateway edge/front, which clients use, and edge/spare with the same routes, for another Envoy.
func (w *world) gatewayYAML() string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
apiVersion: podway.dev/v1alpha1
kind: GatewayParameters
metadata: {name: front, namespace: edge}
spec: {listenAddress: %[1]s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  gatewayClassName: podway
  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: front}}
  listeners:
  - {name: http, protocol: HTTP, port: %[2]d}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: spare, namespace: edge}
spec:
  gatewayClassName: podway
  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: front}}
  listeners:
  - {name: http, protocol: HTTP, port: %[3]d}
`, w.gateway.Addr(), w.gateway.Port(), w.gateway.Port()+1)
}

// everyNamespace lets tunnels use all of a cluster.
const everyNamespace = `allowedTunnels: [{from: [edge], to: ["*"]}]`

// memberYAML is a MemberCluster; spec is further lines. Without allowedTunnels among them, tunnels may use all.
func memberYAML(name string, spec ...string) string {
	if !strings.Contains(strings.Join(spec, "\n"), "allowedTunnels") {
		spec = append(spec, everyNamespace)
	}
	return fmt.Sprintf("apiVersion: podway.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: %[1]s}\nspec:\n"+
		"  source: {type: Kubeconfig, kubeconfig: {file: %[1]s.kubeconfig}}\n  %[2]s\n", name, strings.Join(spec, "\n  "))
}

// tunnelYAML is a tunnel of the namespace edge. A service is CLUSTER, whose Service is shop/web, or CLUSTER/NAMESPACE/NAME; its
// port is http. spec is further lines.
func tunnelYAML(name string, services []string, spec ...string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "---\napiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: %s, namespace: edge}\nspec:\n  services:\n", name)
	for _, service := range services {
		parts := strings.Split(service, "/")
		if len(parts) == 1 {
			parts = append(parts, namespace, "web")
		}
		fmt.Fprintf(&out, "  - {cluster: %s, namespace: %s, name: %s, port: http}\n", parts[0], parts[1], parts[2])
	}
	for _, line := range spec {
		out.WriteString("  " + line + "\n")
	}
	return out.String()
}

// routeYAML is a route of the host NAME.example to the tunnel of that name.
func routeYAML(name string) string {
	return fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s, namespace: edge}
spec:
  parentRefs: [{name: front}, {name: spare}]
  hostnames: [%[1]s.example]
  rules:
  - backendRefs: [{group: podway.dev, kind: Tunnel, name: %[1]s}]
`, name)
}
