//go:build clusters

package clusters

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// TestPortsAreRenamedUnderLoad: whoever adds a port to a Service that has one has to name that, too. Slices follow later, and a tunnel that names the port by
// its number is not to notice.
func TestPortsAreRenamedUnderLoad(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, controllers: true})
	east := w.members["east"]
	service, pods := east.web(6)
	w.write("tunnel-web.yaml", "---\napiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: web, namespace: edge}\nspec:\n"+
		"  services: [{cluster: east, namespace: shop, name: web, port: 80}]\n  retry: {attempts: 0}\n"+routeYAML("web"))
	w.start()
	w.awaitState("east", fleet.Live)
	w.edge.await("web", pods...)
	guard, load := w.guard("web", pods...), w.load("web", 200)
	more := kubetest.Port("more", 81, "http")
	for _, ports := range [][]corev1.ServicePort{
		{kubetest.Port("web", 80, "http")},
		{kubetest.Port("http", 80, "http"), more},
		{kubetest.Port("", 80, "http")},
		{kubetest.Port("web", 80, fmt.Sprint(podPort)), more},
	} {
		kubetest.Modify(east.Cluster, service, func(s *corev1.Service) { s.Spec.Ports = ports })
		w.eventually("the slices follow", func() bool {
			list, err := east.Client().DiscoveryV1().EndpointSlices(namespace).List(w.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=web"})
			return err == nil && len(list.Items) == 1 && len(list.Items[0].Ports) == len(ports) && slices.ContainsFunc(list.Items[0].Ports, func(p discoveryv1.EndpointPort) bool {
				return *p.Name == ports[0].Name
			})
		})
		w.requests(load, 100)
	}
	guard.end(w)
	w.requireServed(load)
}
