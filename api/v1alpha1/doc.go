// Package v1alpha1 holds podway's own kinds: Tunnel, MemberCluster and
// GatewayParameters, with their defaults and their validation. It knows
// nothing of where they are read or what they become.
//
// +kubebuilder:object:generate=true
// +groupName=podway.dev
package v1alpha1
