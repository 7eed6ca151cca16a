//go:build clusters

// Package clusters holds the tests against real API servers. Run them by `make test-clusters`.
package clusters

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	kubetest "github.com/podway/podway/test/kube"
)

func TestClustersStartSideBySideAndSlicesFollowPods(t *testing.T) {
	t.Parallel()
	both := kubetest.StartAll(t,
		kubetest.Options{Name: "east", Controllers: []string{kubetest.EndpointSlices}},
		kubetest.Options{Name: "west"})
	east, west := both[0], both[1]
	require.NotEqual(t, east.ClusterUID(), west.ClusterUID())

	service := kubetest.Service("shop", "web", kubetest.Port("http", 80, "http"))
	first := kubetest.Pod("shop", "web-1", "web", "10.71.0.1", kubetest.PodPort("http", 8080))
	second := kubetest.Pod("shop", "web-2", "web", "10.71.0.2", kubetest.PodPort("http", 8081))
	east.Create(kubetest.Namespace("shop"), service)
	east.Run(first, second)
	east.WaitEndpoints(service, "10.71.0.1", "10.71.0.2")
	east.SetReady(false, first)
	east.WaitEndpoints(service, "10.71.0.2")
	east.SetReady(true, first)
	east.WaitEndpoints(service, "10.71.0.1", "10.71.0.2")
	east.Terminate(first)
	east.WaitEndpoints(service, "10.71.0.2")
	east.Get(first)
	require.NotNil(t, first.DeletionTimestamp)
	east.Delete(first, second)
	east.WaitEndpoints(service)

	west.Create(kubetest.Namespace("shop"), service.DeepCopy())
}

func TestSlicesAreWrittenByHandWithoutControllers(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t, kubetest.Options{})
	service := kubetest.Service("shop", "web", kubetest.Port("http", 80, "8080"))
	slice := kubetest.Slice(service, "web-1", []discoveryv1.EndpointPort{kubetest.SlicePort("http", 8080)},
		kubetest.Endpoint("shop", "web-1", "10.71.0.1"), kubetest.Endpoint("shop", "web-2", "10.71.0.2"))
	c.Create(kubetest.Namespace("shop"), service, slice)
	c.WaitEndpoints(service, "10.71.0.1", "10.71.0.2")

	kubetest.SetConditions(&slice.Endpoints[0], false, true, true)
	c.Update(slice)
	c.WaitEndpoints(service, "10.71.0.2")
	kubetest.Modify(c, slice, func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[:1] })
	c.WaitEndpoints(service)
	c.Delete(slice)

	many := make([]kubetest.Object, 500)
	for i := range many {
		s := slice.DeepCopy()
		s.ObjectMeta.Name, s.ResourceVersion, s.UID = "", "", ""
		s.GenerateName, s.Labels = "many-", map[string]string{corev1.LabelHostname: "n"}
		many[i] = s
	}
	c.Create(many...)
}
