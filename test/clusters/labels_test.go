//go:build clusters

package clusters

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podway/podway/api/snapshot"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/kube"
)

// TestLabelsAreFollowed has the labels of Pods listed by servers with and without streaming lists, and followed over connections that are opened anew.
func TestLabelsAreFollowed(t *testing.T) {
	for name, flags := range map[string][]string{"with streaming lists": nil, "without streaming lists": {"--feature-gates=WatchList=false"}} {
		t.Run(name, func(t *testing.T) {
			c := kubetest.Start(t, kubetest.Options{Name: "east", Controllers: []string{kubetest.EndpointSlices}, ServerFlags: flags})
			service := kubetest.Service("shop", "web", kubetest.Port("http", 80, "http"))
			pod := kubetest.Pod("shop", "web-1", "web", "10.77.0.1", kubetest.PodPort("http", 8080))
			pod.Labels["version"] = "v1"
			c.Create(kubetest.Namespace("shop"), service)
			c.Run(pod)
			proxy := kubetest.NewProxy(t, c.Address())
			f := followAt(t, c, proxy.URL(), c.AdminToken(), kube.Config{Scope: snapshot.Everything, UID: string(c.ClusterUID())})
			f.session.FollowLabels(map[string]bool{"shop": true})
			f.until("the label is known", func() bool { return f.version("shop/web") == "v1" })
			for i, next := range []string{"v2", "v3", "v4"} {
				f.until("live", func() bool { return f.health.Phase == kube.Live })
				if i > 0 {
					before := proxy.Accepted()
					proxy.Cut()
					f.until("connected again", func() bool { return proxy.Accepted() > before })
				}
				kubetest.Modify(c, pod, func(p *corev1.Pod) { p.Labels["version"] = next })
				f.until("the label is "+next, func() bool { return f.version("shop/web") == next })
			}
		})
	}
}

// version is the label of that name of the only Pod of a Service. f.mu is held.
func (f *followed) version(service string) string {
	set := f.sets[service]
	if set == nil || set.Unlabeled || len(set.Pods) != 1 {
		return ""
	}
	return set.Pods[0].Labels["version"]
}
