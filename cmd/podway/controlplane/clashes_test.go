package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher/files"
)

const clashCluster = `
apiVersion: podway.dev/v1alpha1
kind: MemberCluster
metadata: {name: %[1]s}
spec:
  source: {type: Objects, objects: {directory: %[1]s}}
  allowedTunnels: [{from: [edge], to: [default]}]
`

const clashTunnel = `
apiVersion: podway.dev/v1alpha1
kind: Tunnel
metadata: {name: %[1]s-%[2]d, namespace: edge}
spec: {services: [{cluster: %[1]s, namespace: default, name: web, port: 80}]}
---
`

const clashObjects = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, namespace: default, name: web-%[1]s}}]
`

// clashing is a watch over two clusters whose Pods have one address, each with so many tunnels.
func clashing(t *testing.T, tunnels int) (w *clashWatch, b *bench, told *[][]api.Problem) {
	t.Helper()
	directory := t.TempDir()
	for _, cluster := range []string{"east", "west"} {
		var all strings.Builder
		for i := range tunnels {
			fmt.Fprintf(&all, clashTunnel, cluster, i)
		}
		require.NoError(t, os.Mkdir(filepath.Join(directory, cluster), 0o700))
		for path, content := range map[string]string{
			cluster + ".yaml": fmt.Sprintf(clashCluster, cluster), "tunnels-" + cluster + ".yaml": all.String(),
			cluster + "/web.yaml": fmt.Sprintf(clashObjects, cluster),
		} {
			require.NoError(t, os.WriteFile(filepath.Join(directory, path), []byte(content), 0o600))
		}
	}
	b = newBench(t)
	var err error
	b.state, err = files.Load([]string{directory}, files.Options{})
	require.NoError(t, err)
	require.Empty(t, b.state.Config.Problems)
	told = new([][]api.Problem)
	w = &clashWatch{live: b.live, served: &b.pipeline.state, tell: func(now []api.Problem) { *told = append(*told, now) }}
	w.check()
	require.Empty(t, *told, "there is no plan yet")
	w.plan.Store(translator.Translate(b.state.Config, nil))
	w.check()
	require.Len(t, *told, 1)
	return w, b, told
}

func TestAddressOfTwoTunnelsIsToldOnce(t *testing.T) {
	w, b, told := clashing(t, 1)
	require.Len(t, (*told)[0], 2)
	require.Equal(t, "Tunnel edge/east-0", (*told)[0][0].Object.String())
	require.Contains(t, (*told)[0][0].Message, "10.1.0.1:80 is the address of Pod default/web-east in cluster east and of Pod default/web-west in cluster west, "+
		"which Tunnel edge/west-0 uses")
	require.NotEmpty(t, (*told)[0][0].File)

	b.pipeline.state.Store(&pipelineState{})
	w.check()
	require.Len(t, *told, 1, "it is no news")

	west := pods.ServiceKey{Cluster: "west", Namespace: "default", Name: "web"}
	b.state.Pods[west] = &pods.Set{Key: west}
	w.check()
	require.Len(t, *told, 1, "nothing says that others are served")
	b.pipeline.state.Store(&pipelineState{})
	w.check()
	require.Len(t, *told, 2)
	require.Empty(t, (*told)[1])
}

func TestOnlySoManyTunnelsAreToldOfOneByOne(t *testing.T) {
	_, _, told := clashing(t, maxClashesTold/2+1)
	problems := (*told)[0]
	require.Len(t, problems, maxClashesTold+1)
	last := problems[maxClashesTold]
	require.Equal(t, "AmbiguousAddress", last.Code)
	require.Contains(t, last.Message, "more than 100 tunnels have Pods whose address a Pod of another cluster has too")
	require.NotEmpty(t, last.Remedy)
}
