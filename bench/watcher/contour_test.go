//go:build clusters && contour

package watcher

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/bench/watcher/scene"
	kubetest "github.com/podway/podway/test/kube"
)

// contourAt names a checkout of Contour, in which `go build ./cmd/contour` was run.
const contourAt = "PODWAY_BENCH_CONTOUR"

// BenchmarkContour is BenchmarkRealServer beside Contour: both follow the same API server, and their Envoys take turns.
func BenchmarkContour(b *testing.B) {
	checkout := os.Getenv(contourAt)
	require.NotEmpty(b, checkout, contourAt+" names no checkout of Contour with the program in it")
	for _, of := range []struct{ services, envoys int }{{10, 1}, {1000, 100}} {
		b.Run(fmt.Sprintf("services=%d/envoys=%d", of.services, of.envoys), func(b *testing.B) {
			size := scene.Size{Clusters: 1, Services: of.services, Pods: 10}
			cluster := kubetest.Start(b, kubetest.Options{})
			fill(b, cluster, size)
			proxy(b, cluster, size, filepath.Join(checkout, "examples", "contour", "01-crds.yaml"))
			c := serveContour(b, cluster, filepath.Join(checkout, "contour"))
			p := serve(b, size, func(int) []byte { return cluster.Kubeconfig(cluster.AdminToken()) })
			p.synced(b, size.Services*size.Pods)
			for b.Loop() {
				theirs := alternate(b, cluster, size, c.process, of.envoys, func(node string) (*client, context.CancelFunc) {
					return connectEach(b, c.xds, node, size.Services)
				})
				ours := alternate(b, cluster, size, p.process, of.envoys, func(node string) (*client, context.CancelFunc) {
					return connect(b, p.xds, node, size.Services)
				})
				b.ReportMetric(0, "ns/op")
				theirs.report(b, "contour")
				ours.report(b, "podway")
				b.ReportMetric(ours.p50/theirs.p50, "podway/contour-p50")
				b.ReportMetric(ours.p99/theirs.p99, "podway/contour-p99")
			}
		})
	}
}

// followed is how changes reached the Envoys of a control plane.
type followed struct {
	p50, p99 float64 // milliseconds
	cpu      float64 // milliseconds a change
	memory   float64 // MB
}

func (f followed) report(b *testing.B, of string) {
	b.Helper()
	b.ReportMetric(f.p50, "ms/"+of+"-p50")
	b.ReportMetric(f.p99, "ms/"+of+"-p99")
	b.ReportMetric(f.cpu, "ms-cpu/"+of)
	b.ReportMetric(f.memory, "MB/"+of)
}

func alternate(b *testing.B, cluster *kubetest.Cluster, size scene.Size, of *process, envoys int, open func(node string) (*client, context.CancelFunc)) followed {
	b.Helper()
	clients := make([]*client, envoys)
	stops := make([]context.CancelFunc, envoys)
	for i := range clients {
		clients[i], stops[i] = open(fmt.Sprintf("envoy-%d", i))
	}
	const changes = 20 * 20
	before := of.cpu(b)
	seen := observe(b, cluster, func() { replacePods(cluster, size, changes) })
	<-time.After(300 * time.Millisecond) // the last of them
	used := of.cpu(b) - before
	now, _ := of.memory(b)
	var all []float64
	for i, stop := range stops {
		stop()
		late := clients[i].lateness(b, seen)
		require.GreaterOrEqual(b, len(late), len(seen)*9/10)
		all = append(all, late...)
	}
	slices.Sort(all)
	return followed{p50: quantile(all, .5), p99: quantile(all, .99), cpu: used.Seconds() * 1000 / changes, memory: now}
}

// proxy makes an HTTPProxy for each Service, and what defines one.
func proxy(tb testing.TB, cluster *kubetest.Cluster, size scene.Size, definitions string) {
	tb.Helper()
	objects, err := dynamic.NewForConfig(cluster.Config())
	require.NoError(tb, err)
	create := func(kind schema.GroupVersionResource, namespace string, object map[string]any) error {
		_, err := objects.Resource(kind).Namespace(namespace).Create(tb.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
		return err
	}
	text, err := os.ReadFile(definitions)
	require.NoError(tb, err)
	for document := range bytes.SplitSeq(text, []byte("\n---")) {
		var definition map[string]any
		require.NoError(tb, yaml.Unmarshal(document, &definition))
		if len(definition) > 0 {
			require.NoError(tb, create(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, "", definition))
		}
	}
	for i := range size.Services {
		service := scene.Service(0, i)
		object := map[string]any{
			"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy",
			"metadata": map[string]any{"name": service.Name},
			"spec": map[string]any{
				"virtualhost": map[string]any{"fqdn": service.Name + ".test"},
				"routes":      []any{map[string]any{"services": []any{map[string]any{"name": service.Name, "port": int64(service.Spec.Ports[0].Port)}}}},
			},
		}
		require.Eventually(tb, func() bool { // the server serves the kind some time after it was defined
			return create(schema.GroupVersionResource{Group: "projectcontour.io", Version: "v1", Resource: "httpproxies"}, scene.Namespace, object) == nil
		}, time.Minute, 100*time.Millisecond)
	}
}

// contour is that control plane, serving.
type contour struct {
	*process
	xds string
}

// serveContour runs Contour on a cluster until the benchmark ends.
func serveContour(tb testing.TB, cluster *kubetest.Cluster, program string) contour {
	tb.Helper()
	directory := tb.TempDir()
	kubeconfig, config := filepath.Join(directory, "kubeconfig"), filepath.Join(directory, "config.yaml")
	require.NoError(tb, os.WriteFile(kubeconfig, cluster.Kubeconfig(cluster.AdminToken()), 0o600))
	require.NoError(tb, os.WriteFile(config, []byte("{}\n"), 0o600))
	xds := freeAddress(tb)
	args := []string{"serve", "--insecure", "--disable-leader-election", "--kubeconfig", kubeconfig, "--config-path", config}
	for flag, address := range map[string]string{"xds": xds, "http": freeAddress(tb), "health": freeAddress(tb), "debug-http": freeAddress(tb)} {
		host, port, err := net.SplitHostPort(address)
		require.NoError(tb, err)
		args = append(args, "--"+flag+"-address", host, "--"+flag+"-port", port)
	}
	cmd := exec.Command(program, args...)
	require.NoError(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		_ = cmd.Wait()
	})
	return contour{process: &process{Cmd: cmd}, xds: xds}
}

// freeAddress is one that nobody listened at a moment ago.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, listener.Close())
	return listener.Addr().String()
}

// connectEach opens a stream for the endpoints of each Service, as Contour's Envoys do, and returns once it has all.
func connectEach(tb testing.TB, address, node string, services int) (*client, context.CancelFunc) {
	tb.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	c := &client{first: make(chan struct{}), ended: make(chan struct{})}
	received := make(chan push)
	for i := range services {
		service := scene.Service(0, i)
		stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx, grpc.WaitForReady(true))
		require.NoError(tb, err)
		go follow(stream, node, strings.Join([]string{scene.Namespace, service.Name, service.Spec.Ports[0].Name}, "/"), received)
	}
	go func() {
		defer close(c.ended)
		for missing := services; ; {
			select {
			case <-ctx.Done():
				return
			case p := <-received:
				if missing == 0 {
					c.pushes = append(c.pushes, p)
				} else if missing--; missing == 0 {
					close(c.first)
				}
			}
		}
	}()
	return c, c.begun(tb, conn, cancel)
}

// follow hands on what a stream says of one assignment.
func follow(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient, node, name string, received chan<- push) {
	request := &discoveryv3.DiscoveryRequest{TypeUrl: resource.EndpointType, Node: &corev3.Node{Id: node, Cluster: "contour"}, ResourceNames: []string{name}}
	for stream.Send(request) == nil {
		m, err := stream.Recv()
		if err != nil {
			return
		}
		p := push{at: time.Now()}
		request.VersionInfo, request.ResponseNonce = m.GetVersionInfo(), m.GetNonce()
		for _, r := range m.GetResources() {
			p.bytes = append(p.bytes, r.GetValue())
		}
		select {
		case received <- p:
		case <-stream.Context().Done():
			return
		}
	}
}
