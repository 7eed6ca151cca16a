// Package translator says what each Envoy should have: it turns a picture of
// the configuration into Envoy's resources, and the Pods of a tunnel into its
// ClusterLoadAssignment.
//
// It is pure: the same input gives the same bytes, and there is no clock, no
// I/O, no goroutine and no log in it. It does not know where the objects were
// read, which Envoys there are, or what they already have.
//
// One bad object costs only itself. What that means for a tunnel:
//   - A Service that cannot be used (its cluster is missing or does not allow it, it or its port is missing, its podSelector
//     contradicts its selector, …) is left out, and the tunnel works with the others.
//   - A tunnel whose TLS is not as it was asked for is refused as a whole. It is never served in plain text, nor without a
//     verification that was asked for, nor with only some of the authorities.
//   - A tunnel without Pods is in force and answers 503.
package translator
