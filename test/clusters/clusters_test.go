//go:build clusters

// Package clusters holds the tests against real API servers. Run them by `make test-clusters`.
package clusters

import (
	"testing"

	kubetest "github.com/podway/podway/test/kube"
)

func TestClustersStartSideBySideAndSlicesFollowPods(t *testing.T) {
	both := kubetest.StartAll(t,
		kubetest.Options{Name: "east", Controllers: []string{kubetest.EndpointSlices}},
		kubetest.Options{Name: "west"})
	east := both[0]
	pod := kubetest.Pod("shop", "web-1", "web", "10.77.0.1", kubetest.PodPort("http", 8080))
	service := kubetest.Service("shop", "web", kubetest.Port("http", 80, "http"))
	east.Create(kubetest.Namespace("shop"), service)
	east.Run(pod)
	east.WaitEndpoints(service, "10.77.0.1")
}
