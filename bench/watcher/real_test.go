//go:build clusters

package watcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/bench/watcher/fakeapi"
	"github.com/podway/podway/bench/watcher/scene"
	kubetest "github.com/podway/podway/test/kube"
)

// BenchmarkRealServer is from a watch event to the push that a client receives, as other control planes were measured: with 10 Services and 1
// Envoy, and with 1000 Services and 100 Envoys, at 20 changes a second. The watch event is the one that another watch of the same objects saw.
func BenchmarkRealServer(b *testing.B) {
	for _, of := range []struct{ services, envoys int }{{10, 1}, {1000, 100}} {
		b.Run(fmt.Sprintf("services=%d/envoys=%d", of.services, of.envoys), func(b *testing.B) {
			size := scene.Size{Clusters: 1, Services: of.services, Pods: 10}
			cluster := kubetest.Start(b, kubetest.Options{})
			fill(b, cluster, size)
			p := serve(b, size, func(int) []byte { return cluster.Kubeconfig(cluster.AdminToken()) })
			p.synced(b, size.Services*size.Pods)
			for b.Loop() {
				measureReal(b, cluster, p, of.envoys)
			}
		})
	}
}

func measureReal(b *testing.B, cluster *kubetest.Cluster, p *podway, envoys int) {
	clients := make([]*client, envoys)
	var stops []context.CancelFunc
	for i := range clients {
		c, stop := connect(b, p.xds, fmt.Sprintf("envoy-%d", i), p.size.Services)
		clients[i], stops = c, append(stops, stop)
	}
	const changes = 20 * 30
	before, cpu := p.histogram(b), p.cpu(b)
	seen := observe(b, cluster, func() { replacePods(cluster, p.size, changes) })
	<-time.After(300 * time.Millisecond) // the last of them
	used, inside := p.cpu(b)-cpu, p.histogram(b).since(before)
	var first, last []float64
	now, _ := p.memory(b)
	for i, stop := range stops {
		stop()
		late := clients[i].lateness(b, seen)
		require.GreaterOrEqual(b, len(late), len(seen)*9/10)
		last = append(last, late...)
		if i == 0 {
			first = late
		}
	}
	slices.Sort(last)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(first, .5), "ms/one-envoy-p50")
	b.ReportMetric(quantile(first, .99), "ms/one-envoy-p99")
	b.ReportMetric(quantile(last, .5), "ms/all-envoys-p50")
	b.ReportMetric(quantile(last, .99), "ms/all-envoys-p99")
	b.ReportMetric(inside.atMost(.99), "ms/podway-p99<=")
	b.ReportMetric(used.Seconds()*1000/changes, "ms-cpu/change")
	b.ReportMetric(now, "MB")
	b.ReportMetric(quantile(last, .99)/quantile(first, .99), "all/one-p99")
}

// fill makes the Services of a cluster, and their slices.
func fill(tb testing.TB, cluster *kubetest.Cluster, size scene.Size) {
	tb.Helper()
	objects := []kubetest.Object{kubetest.Namespace(scene.Namespace)}
	for service := range size.Services {
		s := scene.Service(0, service)
		s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil // the server gives it one of its own
		objects = append(objects, s)
	}
	cluster.Create(objects...)
	objects = nil
	for service := range size.Services {
		objects = append(objects, scene.Slice(0, service, make([]int, size.Pods)))
	}
	cluster.Create(objects...)
}

// replacePods gives Pods other addresses, 20 a second.
func replacePods(cluster *kubetest.Cluster, size scene.Size, changes int) {
	random := rand.New(rand.NewPCG(1, 2))
	generations := make([][]int, size.Services)
	for i := range generations {
		generations[i] = make([]int, size.Pods)
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for range changes {
		<-ticker.C
		service, pod := random.IntN(size.Services), random.IntN(size.Pods)
		generations[service][pod] = (generations[service][pod] + 1) % 15
		slice := scene.Slice(0, service, generations[service])
		slice.UID = "" // it is the server's to give
		cluster.Update(slice)
	}
}

// observe notes when addresses first appear in a watch of all slices.
func observe(b *testing.B, cluster *kubetest.Cluster, while func()) []fakeapi.Change {
	config := cluster.Config()
	config.ContentType, config.AcceptContentTypes = protobuf, protobuf
	clients, err := kubernetes.NewForConfig(config)
	require.NoError(b, err)
	list, err := clients.DiscoveryV1().EndpointSlices(scene.Namespace).List(b.Context(), metav1.ListOptions{})
	require.NoError(b, err)
	known := map[string]map[string]bool{} // by slice
	for i := range list.Items {
		known[list.Items[i].Name] = addressesOf(&list.Items[i])
	}
	watched, err := clients.DiscoveryV1().EndpointSlices(scene.Namespace).Watch(b.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	require.NoError(b, err)
	var changes []fakeapi.Change
	var running sync.WaitGroup
	running.Go(func() {
		for event := range watched.ResultChan() {
			at := time.Now().UnixNano()
			slice, ok := event.Object.(*discoveryv1.EndpointSlice)
			if !ok {
				return // it was stopped
			}
			now := addressesOf(slice)
			for address := range now {
				if !known[slice.Name][address] {
					changes = append(changes, fakeapi.Change{At: at, Address: address})
				}
			}
			known[slice.Name] = now
		}
	})
	while()
	<-time.After(100 * time.Millisecond) // the last event
	watched.Stop()
	running.Wait()
	return changes
}

func addressesOf(slice *discoveryv1.EndpointSlice) map[string]bool {
	out := map[string]bool{}
	for _, endpoint := range slice.Endpoints {
		out[endpoint.Addresses[0]] = true
	}
	return out
}

// TestFakeServersSendWhatRealOnesDo compares, for the same objects, the lists and the streaming lists of both.
func TestFakeServersSendWhatRealOnesDo(t *testing.T) {
	size := scene.Size{Clusters: 1, Services: 3, Pods: 4}
	cluster := kubetest.Start(t, kubetest.Options{})
	fill(t, cluster, size)
	servers := start(t, role{Name: "fakeapi", Size: size})
	genuine := cluster.Config()
	fake := &rest.Config{Host: "https://" + servers.Addresses[0], TLSClientConfig: rest.TLSClientConfig{CAData: servers.CA}}
	for _, config := range []*rest.Config{genuine, fake} {
		config.ContentType, config.AcceptContentTypes = protobuf, protobuf
	}
	want, got := told(t, genuine), told(t, fake)
	require.Equal(t, want, got)
	require.Len(t, want, 2*(3+3+1), "Services, slices, and a bookmark of each kind")
}

// told is what a server says of Services and slices, in lists and in streaming lists, without what no two servers have in common.
func told(t *testing.T, config *rest.Config) []any {
	clients, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	var out []any
	options := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=shop"}
	services, err := clients.CoreV1().Services(scene.Namespace).List(t.Context(), options)
	require.NoError(t, err)
	for i := range services.Items {
		out = append(out, common(&services.Items[i]))
	}
	endpoints, err := clients.DiscoveryV1().EndpointSlices(scene.Namespace).List(t.Context(), options)
	require.NoError(t, err)
	for i := range endpoints.Items {
		out = append(out, common(&endpoints.Items[i]))
	}
	yes := true
	options.SendInitialEvents, options.AllowWatchBookmarks, options.ResourceVersionMatch = &yes, true, metav1.ResourceVersionMatchNotOlderThan
	follow := func(watched watch.Interface, err error) {
		require.NoError(t, err)
		defer watched.Stop()
		for event := range watched.ResultChan() {
			if event.Type != watch.Bookmark {
				require.Equal(t, watch.Added, event.Type)
				out = append(out, common(event.Object.(metav1.Object)))
				continue
			}
			out = append(out, fmt.Sprintf("%T %v", event.Object, event.Object.(metav1.Object).GetAnnotations()))
			return
		}
		t.Fatal("the watch has ended before its bookmark")
	}
	follow(clients.CoreV1().Services(scene.Namespace).Watch(t.Context(), options))
	follow(clients.DiscoveryV1().EndpointSlices(scene.Namespace).Watch(t.Context(), options))
	return out
}

// common is an object without what depends on the server and its clock.
func common(object metav1.Object) metav1.Object {
	object.SetUID("")
	object.SetResourceVersion("")
	object.SetCreationTimestamp(metav1.Time{})
	object.SetManagedFields(nil)
	object.SetGeneration(0)
	switch o := object.(type) {
	case *corev1.Service:
		o.Spec.ClusterIP, o.Spec.ClusterIPs = "", nil
	case *discoveryv1.EndpointSlice:
		delete(o.Annotations, corev1.EndpointsLastChangeTriggerTime)
	}
	return object
}
