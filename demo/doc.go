// Package demo plays Kubernetes clusters, and clients, on one machine: Pods
// that are small HTTP servers on loopback addresses, the Services,
// EndpointSlices and Pods that an API server would show of them, written as YAML into a directory, and a load
// that counts who answered. `podway demo` and the tests with a real Envoy drive it. It knows Kubernetes
// and HTTP, and must not know of a control plane or of Envoy.
package demo
