package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(asNobody) != "" {
		m.Run()
		return
	}
	goleak.VerifyTestMain(m)
}

// directory makes a directory with files.
func directory(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

// write writes a file, and the directories above it.
func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// load reads a directory once.
func load(t testing.TB, dir string) *State {
	t.Helper()
	state, err := Load([]string{dir}, Options{})
	require.NoError(t, err)
	return state
}

// problemsOf are the problems of a State, a line each, without the directory.
func problemsOf(state *State, dir string) []string {
	var out []string
	for _, p := range state.Config.Problems {
		out = append(out, strings.ReplaceAll(p.String(), dir+"/", ""))
	}
	return out
}

// tunnel is the YAML of a small tunnel with one weight.
func tunnel(name, weight string) string {
	return `apiVersion: podway.dev/v1alpha1
kind: Tunnel
metadata:
  name: ` + name + `
  namespace: edge
spec:
  services:
  - cluster: east
    namespace: default
    name: httpbin
    port: 8000
    podWeight: ` + weight + "\n"
}

// memberCluster is the YAML of a cluster whose objects are in the directory of its name.
func memberCluster(name string) string {
	return `apiVersion: podway.dev/v1alpha1
kind: MemberCluster
metadata: {name: ` + name + `}
spec: {source: {type: Objects, objects: {directory: ` + name + "}}}\n"
}

// objects are the YAML of a Service and one Pod with an address, as a List.
func objects(address string) string {
	return `apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations: {a: b}
    name: httpbin
    namespace: default
  spec:
    ports:
    - name: http
      port: 8000
      targetPort: 80
    selector: {app: httpbin}
  status: {loadBalancer: {}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  addressType: IPv4
  endpoints:
  - addresses: [` + address + `]
    targetRef: {kind: Pod, name: httpbin-0, namespace: default, uid: u0}
  metadata:
    labels: {kubernetes.io/service-name: httpbin}
    name: httpbin-1
    namespace: default
  ports:
  - {name: http, port: 80, protocol: TCP}
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      text: |
        - not: an item
        kind: Service
    labels:
      app: httpbin
      version: v1
    managedFields:
    - manager: kubelet
    name: httpbin-0
    namespace: default
    uid: u0
  spec:
    containers:
    - name: httpbin
  status:
    podIP: ` + address + `
kind: List
metadata:
  resourceVersion: ""
`
}
