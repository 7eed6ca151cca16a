package scene

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Gateway that all tunnels are served by, as NAMESPACE/NAME.
const Gateway = "edge/public"

// GatewayYAML is that Gateway and its class, with port 8080. Further lines are those of its spec.
const GatewayYAML = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  gatewayClassName: podway
  listeners: [{name: http, port: 8080, protocol: HTTP}]
`

const member = `apiVersion: podway.dev/v1alpha1
kind: MemberCluster
metadata: {name: %[1]s}
spec:
  source: {type: Kubeconfig, kubeconfig: {file: %[1]s.kubeconfig}}
  allowedTunnels: [{from: [edge], to: [%[2]s]}]
`

const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s, namespace: edge}
spec:
  parentRefs: [{name: public}]
  hostnames: [%[1]s.example.com]
  rules:
  - backendRefs: [{group: podway.dev, kind: Tunnel, name: %[1]s}]
`

// WriteConfig writes a configuration directory: one tunnel for each Service, which has the Pods of the Service in every cluster.
func WriteConfig(directory string, size Size, kubeconfig func(cluster int) []byte) error {
	files := map[string][]byte{"gateway.yaml": []byte(GatewayYAML)}
	for cluster := range size.Clusters {
		name := ClusterName(cluster)
		files[name+".yaml"] = fmt.Appendf(nil, member, name, "'*'")
		files[name+".kubeconfig"] = kubeconfig(cluster)
	}
	for service := range size.Services {
		files[TunnelFile(service)] = Tunnel(size, service, 100)
	}
	for name, content := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
	}
	return nil
}

// TunnelFile is where the tunnel of a Service is, in the configuration directory.
func TunnelFile(service int) string { return "tunnels/" + ServiceName(service) + ".yaml" }

// Tunnel is the tunnel of a Service, and its route. weight is that of the Pods in the first cluster, 0 to 100.
func Tunnel(size Size, service, weight int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: %s, namespace: edge}\nspec:\n  services:\n", ServiceName(service))
	for cluster := range size.Clusters {
		fmt.Fprintf(&b, "  - {cluster: %s, namespace: %s, name: %s, port: http", ClusterName(cluster), Namespace, ServiceName(service))
		if cluster == 0 {
			fmt.Fprintf(&b, ", podWeight: %d", weight)
		}
		if size.Selectors {
			b.WriteString(", podSelector: {matchLabels: {version: v2}}")
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(&b, route, ServiceName(service))
	return []byte(b.String())
}
