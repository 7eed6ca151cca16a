// Package scene makes the clusters that the benchmarks of the watcher follow, as Kubernetes' controllers would have written their objects, and
// the configuration of a podway that serves tunnels to all of their Pods. The same numbers make the same objects.
package scene
