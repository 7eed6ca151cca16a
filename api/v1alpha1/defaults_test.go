package v1alpha1

import (
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestDefaults(t *testing.T) {
	for _, test := range []struct {
		name, in, want string
		object         interface{ SetDefaults() }
	}{
		{
			name: "absent structures stay absent", object: &Tunnel{},
			in:   "{services: [{name: a}], addresses: [{address: 192.0.2.1}]}",
			want: "{services: [{name: a, cluster: '', namespace: '', port: 0, podWeight: 100}], addresses: [{address: 192.0.2.1, port: 0, weight: 100}]}",
		},
		{
			name: "what is set stays", object: &Tunnel{},
			in:   "{services: [{name: a, podWeight: 0}], retry: {attempts: 0}}",
			want: "{services: [{name: a, cluster: '', namespace: '', port: 0, podWeight: 0}], retry: {attempts: 0}}",
		},
		{
			name: "all structures of a tunnel", object: &Tunnel{},
			in: "{protocol: HTTP, tls: {caCertificateRefs: [{name: a}, {name: b, kind: Secret, namespace: o}], clientCertificateRef: {name: c}}, retry: {}, timeout: {}, circuitBreaker: {}," +
				" loadBalancer: {consistentHash: {cookie: {name: c}}}, healthCheck: {active: {}, passive: {}}}",
			want: "{protocol: HTTP, tls: {caCertificateRefs: [{name: a, kind: ConfigMap, namespace: edge}, {name: b, kind: Secret, namespace: o}], clientCertificateRef: {name: c, kind: Secret, namespace: edge}}," +
				" retry: {attempts: 3}, timeout: {connect: 1s, idle: 5m, connectionIdle: 1h}, circuitBreaker: {maxParallelRetries: 1024}," +
				" loadBalancer: {consistentHash: {cookie: {name: c, path: /}}}, healthCheck: {" +
				"active: {type: HTTP, path: /, expectedStatuses: [{from: 200, to: 200}], interval: 5s, timeout: 5s, healthyThreshold: 1, unhealthyThreshold: 3}," +
				" passive: {consecutiveErrors: 5, interval: 1s, ejectionTime: 30s, maxEjectionPercent: 50}}}",
		},
		{
			name: "the type of a check follows gRPC", object: &Tunnel{}, in: "{protocol: GRPC, healthCheck: {active: {}}}",
			want: "{protocol: GRPC, healthCheck: {active: {type: GRPC, interval: 5s, timeout: 5s, healthyThreshold: 1, unhealthyThreshold: 3}}}",
		},
		{
			name: "the type of a check stays open without a protocol", object: &Tunnel{}, in: "{healthCheck: {active: {}}}",
			want: "{healthCheck: {active: {interval: 5s, timeout: 5s, healthyThreshold: 1, unhealthyThreshold: 3}}}",
		},
		{
			name: "member cluster", object: &MemberCluster{}, in: "{source: {type: Kubeconfig, kubeconfig: {secretRef: {namespace: a, name: b}}}}",
			want: "{trafficPolicy: Active, source: {type: Kubeconfig, kubeconfig: {secretRef: {namespace: a, name: b, key: kubeconfig}}}}",
		},
		{
			name: "a brake is filled in by the flags", object: &MemberCluster{}, in: "{source: {type: Objects}, brake: {percent: 50}}",
			want: "{trafficPolicy: Active, source: {type: Objects}, brake: {percent: 50}}",
		},
		{name: "parameters", object: &GatewayParameters{}, in: "{}", want: "{listenAddress: 0.0.0.0}"},
		{name: "access log", object: &GatewayParameters{}, in: "{accessLog: {}}", want: "{listenAddress: 0.0.0.0, accessLog: {path: /dev/stdout, format: JSON}}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.NoError(t, yaml.UnmarshalStrict([]byte("{metadata: {namespace: edge}, spec: "+test.in+"}"), test.object))
			for range 2 { // The second time changes nothing.
				test.object.SetDefaults()
				got, err := yaml.Marshal(test.object)
				require.NoError(t, err)
				require.YAMLEq(t, "{metadata: {namespace: edge}, spec: "+test.want+"}", string(got))
			}
		})
	}
}
