// Package kube follows one Kubernetes cluster through its API server: the Services, EndpointSlices and, where asked for, the labels of
// Pods of some namespaces. It knows watches, their failures and what a cluster last said. It does not know where a credential comes from,
// which clusters there are, or what tunnels make of Pods.
package kube
