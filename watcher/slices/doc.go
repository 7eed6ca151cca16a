// Package slices joins what Kubernetes knows of a Service (the Service itself,
// its EndpointSlices, and the labels of their Pods) into the plain values that
// the rest of podway uses. It is pure: it knows neither files nor API servers,
// does no I/O and keeps nothing but scratch memory.
package slices
