package translator

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/bench/watcher/scene"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher/files"
)

// podsOfATunnel is how many Pods each tunnel has, half in each of two clusters.
const podsOfATunnel = 100

// sizes are how many tunnels a configuration has.
var sizes = []int{10, 100, 1000}

// writeFleet writes a configuration as a person would have it: a file for each
// tunnel with its route, and a file of objects for each Service.
func writeFleet(tb testing.TB, tunnels int) (directory string) {
	tb.Helper()
	directory = tb.TempDir()
	write := func(path string, content func(*bufio.Writer)) {
		path = filepath.Join(directory, path)
		require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
		file, err := os.Create(path)
		require.NoError(tb, err)
		buffer := bufio.NewWriter(file)
		content(buffer)
		require.NoError(tb, buffer.Flush())
		require.NoError(tb, file.Close())
	}
	write("gateway.yaml", func(w *bufio.Writer) { fmt.Fprint(w, scene.GatewayYAML) })
	for _, cluster := range []string{"east", "west"} {
		write(cluster+".yaml", func(w *bufio.Writer) { fmt.Fprintf(w, member, cluster) })
	}
	for i := range tunnels {
		write(fmt.Sprintf("tunnels/%04d.yaml", i), func(w *bufio.Writer) { fmt.Fprintf(w, tunnel, i) })
		for c, cluster := range []string{"east", "west"} {
			write(fmt.Sprintf("%s/%04d.yaml", cluster, i), func(w *bufio.Writer) {
				fmt.Fprintf(w, service, i)
				for pod := range podsOfATunnel / 2 {
					fmt.Fprintf(w, endpoint, c*10+i/200, i%200, pod+1, i, pod)
				}
			})
		}
	}
	return directory
}

const member = `
apiVersion: podway.dev/v1alpha1
kind: MemberCluster
metadata: {name: %[1]s}
spec:
  source: {type: Objects, objects: {directory: %[1]s}}
  allowedTunnels: [{from: [edge], to: [default]}]
`

const tunnel = `
apiVersion: podway.dev/v1alpha1
kind: Tunnel
metadata: {name: tunnel-%[1]d, namespace: edge}
spec:
  services:
  - {cluster: east, namespace: default, name: service-%[1]d, port: 8000, podWeight: 50}
  - {cluster: west, namespace: default, name: service-%[1]d, port: 8000}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route-%[1]d, namespace: edge}
spec:
  parentRefs: [{name: public}]
  hostnames: [host-%[1]d.example.com]
  rules:
  - backendRefs: [{group: podway.dev, kind: Tunnel, name: tunnel-%[1]d}]
`

const service = `
apiVersion: v1
kind: Service
metadata: {name: service-%[1]d, namespace: default}
spec:
  selector: {app: service-%[1]d}
  ports: [{name: http, port: 8000, targetPort: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-%[1]d-abcde
  namespace: default
  labels: {kubernetes.io/service-name: service-%[1]d}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints:
`

const endpoint = `- addresses: [10.%[1]d.%[2]d.%[3]d]
  conditions: {ready: true, serving: true, terminating: false}
  targetRef: {kind: Pod, namespace: default, name: service-%[4]d-%[5]d, uid: 00000000-0000-0000-0000-%[4]d-%[5]d}
`

// fleet is a configuration that has been read and translated.
type fleet struct {
	plan *translator.Plan
	pods map[pods.ServiceKey]*pods.Set
}

func (f *fleet) live(key pods.ServiceKey) *pods.Set { return f.pods[key] }

// load reads and translates a directory.
func load(tb testing.TB, directory string) *fleet {
	tb.Helper()
	state, err := files.Load([]string{directory}, files.Options{})
	require.NoError(tb, err)
	require.Empty(tb, state.Config.Problems)
	f := &fleet{plan: translator.Translate(state.Config, nil), pods: state.Pods}
	require.Empty(tb, f.plan.Problems())
	return f
}

var public = types.NamespacedName{Namespace: "edge", Name: "public"}
