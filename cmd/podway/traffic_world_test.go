package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/cmd/podway/controlplane"
	"github.com/podway/podway/demo"
	"github.com/podway/podway/envoy"
	"github.com/podway/podway/test/locked"
)

// world is the whole of it: clusters in directories, the control plane, a real Envoy, and clients.
type world struct {
	*testing.T
	directory  string
	east, west *demo.Cluster
	// http and https are where the Gateway edge/front listens. It has an HTTPS listener only where a test writes one.
	http, https netip.AddrPort
	log         *locked.Buffer
	xdsAddress  string
	// xds says who may connect there: anybody, in plain text, unless a test writes otherwise.
	xds xdsOptions
	// adminAddress is that of the control plane.
	adminAddress string
	endPlane     func()
	envoy        *envoy.Process
	// logs takes the access log, as stdout.log.
	logs string
}

// worlds counts them, so that each has addresses of its own.
var worlds atomic.Uint32

// grace is how long a Pod that is to go still answers: longer than a busy machine takes to tell Envoy.
const grace = 5 * time.Second

// newWorld starts everything but Envoy. prepare writes what is there from the beginning, beside the Gateway.
func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := envoy.Find(); err != nil {
		t.Fatalf("this test needs a real Envoy: %v", err)
	}
	number := byte(worlds.Add(1))
	w := &world{T: t, directory: t.TempDir(), logs: t.TempDir(), log: &locked.Buffer{}}
	own := func(second byte) netip.Addr { return netip.AddrFrom4([4]byte{127, second, byte(os.Getpid()), number}) }
	w.http, w.https = freePort(t, own(4)), freePort(t, own(4))
	for w.https == w.http {
		w.https = freePort(t, own(4))
	}
	for i, cluster := range []**demo.Cluster{&w.east, &w.west} {
		name := []string{"east", "west"}[i]
		first := netip.AddrFrom4([4]byte{127, byte(2 + i), number, 1})
		*cluster = demo.NewCluster(demo.ClusterConfig{Name: name, Directory: filepath.Join(w.directory, name), First: first, Grace: grace})
		t.Cleanup((*cluster).Close)
		w.write(name+".yaml", memberClusterYAML(name, "Active"))
		require.NoError(t, os.Mkdir(filepath.Join(w.directory, name), 0o755))
	}
	w.write("gateway.yaml", w.gatewayYAML(""))
	return w
}

// start runs the control plane and Envoy with what has been written so far.
func (w *world) start() *world {
	w.Helper()
	w.startPlane()
	w.startEnvoy()
	return w
}

func freePort(t *testing.T, address netip.Addr) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", netip.AddrPortFrom(address, 0).String())
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// anyPort is what to listen on where a port may be let go and wanted again: no other world has the address, and no client comes from it.
func (w *world) anyPort() string { return netip.AddrPortFrom(w.http.Addr(), 0).String() }

// startPlane runs podway serve in this process.
func (w *world) startPlane() {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	ready, ended := make(chan string, 1), make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = serve(ctx, serveConfig{XDS: w.xds, Config: controlplane.Config{
			Directory: w.directory, XDSAddress: "127.0.0.1:0", AdminAddress: "127.0.0.1:0",
			Logger: slog.New(slog.NewTextHandler(w.log, nil)),
			OnReady: func(xds, admin string) {
				w.adminAddress = admin
				ready <- xds
			},
		}})
	}()
	w.endPlane = func() {
		cancel()
		<-ended
		if err != nil {
			w.Errorf("serve ended with %v", err)
		}
	}
	w.Cleanup(func() {
		w.endPlane()
		if w.Failed() {
			w.Logf("the control plane's log:\n%s", w.log.String())
		}
	})
	select {
	case w.xdsAddress = <-ready:
	case <-ended:
		w.Fatalf("serve ended with %v", err)
	case <-time.After(2 * time.Minute):
		w.Fatalf("not ready after 2 minutes:\n%s", w.log.String())
	}
}

func (w *world) startEnvoy() {
	w.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: "front"}, NodeID: "test", XDSAddress: w.xdsAddress, AdminAddress: "127.0.0.1:0",
	})
	require.NoError(w, err)
	w.startEnvoyWith(bootstrap)
}

func (w *world) startEnvoyWith(bootstrap *bootstrapv3.Bootstrap) {
	w.Helper()
	var err error
	w.envoy, err = envoy.Start(context.WithoutCancel(w.Context()), envoy.StartConfig{
		Bootstrap: bootstrap, Directory: w.logs, Concurrency: 2, ExtraArgs: []string{"--file-flush-interval-msec", "50"},
	})
	require.NoError(w, err)
	process, logs := w.envoy, w.logs
	w.Cleanup(func() {
		if err := process.Stop(); err != nil {
			w.Errorf("stopping Envoy: %v", err)
		}
		if w.Failed() {
			w.Logf("Envoy's warnings:\n%s", warnings(filepath.Join(logs, "envoy.log")))
		}
	})
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	require.NoError(w, w.envoy.WaitReady(ctx))
}

// warnings are the last lines of Envoy's log that are more than information.
func warnings(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.Split(string(content), "\n"), func(line string) bool {
		return !strings.Contains(line, "[warning]") && !strings.Contains(line, "[error]") && !strings.Contains(line, "[critical]")
	})
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// write replaces a file of the configuration.
func (w *world) write(name, content string) {
	w.Helper()
	_, err := demo.WriteFile(filepath.Join(w.directory, name), []byte(content))
	require.NoError(w, err)
}

// service adds a Service with Pods of version v1.
func (w *world) service(cluster *demo.Cluster, cfg demo.ServiceConfig, pods int) *demo.Service {
	w.Helper()
	service, err := cluster.NewService(cfg)
	require.NoError(w, err)
	w.scale(service, pods)
	return service
}

func (w *world) scale(service *demo.Service, pods int) {
	w.Helper()
	_, err := service.Scale("v1", pods)
	require.NoError(w, err)
}

// hosts are the Pods of a tunnel of the namespace edge and their weights, as Envoy has them; nil where it has no such cluster.
func (w *world) hosts(tunnel string) []envoy.Host {
	clusters, err := w.envoy.Admin().Clusters(w.Context())
	if err != nil {
		return nil
	}
	return clusters["tunnel/edge/"+tunnel]
}

// awaitHosts waits until Envoy has exactly these Pods in a tunnel, all with one weight.
func (w *world) awaitHosts(tunnel string, weight int, pods ...*demo.Pod) {
	w.Helper()
	want := map[netip.AddrPort]uint32{}
	for _, pod := range pods {
		want[pod.Address()] = uint32(weight)
	}
	w.awaitWeights(tunnel, want)
}

func (w *world) awaitWeights(tunnel string, want map[netip.AddrPort]uint32) {
	w.Helper()
	eventually(w.T, fmt.Sprintf("the Pods %v in tunnel %s", want, tunnel), func() bool {
		return maps.Equal(weightsOf(w.hosts(tunnel)), want)
	})
}

// stats are Envoy's, whose names match a regular expression.
func (w *world) stats(filter string) map[string]uint64 {
	w.Helper()
	stats, err := w.envoy.Admin().Stats(w.Context(), filter)
	require.NoError(w, err)
	return stats
}

// answer is that of one request.
type answer struct {
	status int
	header http.Header
	body   string
	echo   demo.Echo
	peer   *tls.ConnectionState
}

// get asks for a path of a host, over a connection of its own.
func (w *world) get(host, path string) answer {
	w.Helper()
	got, err := w.try(host, path, nil)
	require.NoError(w, err)
	return got
}

// try asks over TLS where there is a config, with the host as SNI.
func (w *world) try(host, path string, config *tls.Config) (answer, error) {
	url := "http://" + w.http.String() + path
	if config != nil {
		url = "https://" + w.https.String() + path
		config = config.Clone()
		config.ServerName = host
	}
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	request.Host = host
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: config},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       10 * time.Second,
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	got := answer{status: response.StatusCode, header: response.Header, body: string(body), peer: response.TLS}
	_ = json.Unmarshal(body, &got.echo) // answers of Envoy itself are no JSON
	return got, err
}

// awaitStatus waits until a path of a host is answered with the status, and returns that answer.
func (w *world) awaitStatus(host, path string, status int) answer {
	w.Helper()
	var got answer
	eventually(w.T, fmt.Sprintf("status %d from %s%s", status, host, path), func() bool {
		var err error
		got, err = w.try(host, path, nil)
		return err == nil && got.status == status
	})
	return got
}

// load is requests for a host.
func (w *world) load(host string, clients int, rate float64) demo.Load {
	return demo.Load{URL: "http://" + w.http.String() + "/", Host: host, Clients: clients, Rate: rate}
}
