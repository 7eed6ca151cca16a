// Package envoy knows the data plane's own side: the bootstrap configuration
// of an Envoy, where its binary is, how to run one and how to ask its admin
// interface. It takes Envoy resources as they are and must not know of
// tunnels, of Gateway API, or of who serves the resources.
package envoy
