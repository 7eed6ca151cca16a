package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
)

// TestTrafficGoesOnWithoutControlPlane kills it, starts it again and looks at what that costs: no request, and no resource
// that is sent again although it did not change.
func TestTrafficGoesOnWithoutControlPlane(t *testing.T) {
	w := newWorld(t)
	east := w.service(w.east, demo.ServiceConfig{Name: "app"}, 2)
	west := w.service(w.west, demo.ServiceConfig{Name: "app"}, 2)
	w.service(w.west, demo.ServiceConfig{Name: "tls", TLS: serverTLS(t, "pods", nil)}, 1)
	w.write("gateway.yaml", w.gatewayYAML(httpsListener(w, "a", "a.example.com")))
	w.write("all.yaml", tunnelYAML("app", members("east/app=50", "west/app=100"))+
		routeYAML("app", "app.example", []string{"app"})+routeYAML("a", "a.example.com", []string{"app"})+
		tunnelYAML("tls", members("west/tls=100"), "tls: {hostname: api.example.com, caCertificateRefs: [{name: pods}]}")+
		routeYAML("tls", "tls.example", []string{"tls"})+
		caYAML("pods", pair("pods").certificate)+tlsSecretYAML("edge", "a", pair("a").certificate, pair("a").key))
	plane := w.startServe(w.anyPort())
	w.startEnvoy()
	w.awaitWeights("app", weightsOfPods(east, 50, west, 100))
	require.Equal(t, http.StatusOK, w.get("tls.example", "/").status)
	load := w.load("app.example", 8, 200).Start(t.Context())
	requests := func(more int) {
		t.Helper()
		before := load.Tally().Requests
		eventually(t, "more requests", func() bool { return load.Tally().Requests >= before+more })
	}
	requests(50)

	before, versions := w.updates(), w.versions()
	require.NotEmpty(t, before)
	require.NotEmpty(t, versions)
	plane.kill()
	eventually(t, "Envoy alone", func() bool { return w.stats("^control_plane.connected_state$")["control_plane.connected_state"] == 0 })
	requests(200)
	require.NoError(t, load.Tally().Err())
	assert.Equal(t, http.StatusOK, w.get("tls.example", "/").status)

	w.startServe(w.xdsAddress)
	eventually(t, "Envoy connected again", func() bool {
		return w.stats("^control_plane.connected_state$")["control_plane.connected_state"] == 1
	})
	// What is sent after the change that follows is not sent before it.
	_, err := east.Scale("v1", 3)
	require.NoError(t, err)
	w.awaitWeights("app", weightsOfPods(east, 50, west, 100))
	requests(200)

	const changed = "cluster.tunnel/edge/app.update_success"
	after := w.updates()
	assert.Equal(t, before[changed]+1, after[changed], "one update of the endpoints that changed")
	delete(before, changed)
	delete(after, changed)
	assert.Equal(t, before, after, "nothing else was sent again")
	assert.Equal(t, versions, w.versions())
	assert.NoError(t, load.Stop().Err())

	// A change that came while nobody was there arrives too.
	_, err = west.Scale("v1", 1)
	require.NoError(t, err)
	w.awaitWeights("app", weightsOfPods(east, 50, west, 100))
}

// updates counts what Envoy has been sent and accepted, of each type and name.
func (w *world) updates() map[string]uint64 {
	return w.stats(`update_success$|config_reload$`)
}

var (
	resourceVersion = regexp.MustCompile(`"version_info": "[^"]+"`)
	lastUpdated     = regexp.MustCompile(`"last_updated": "[^"]+"`)
)

// versions are those of all resources in Envoy's configuration, and when they came, in Envoy's order.
func (w *world) versions() []string {
	w.Helper()
	dump, err := w.envoy.Admin().ConfigDump(w.Context(), url.Values{})
	require.NoError(w, err)
	return append(resourceVersion.FindAllString(string(dump), -1), lastUpdated.FindAllString(string(dump), -1)...)
}

// servePlane is podway serve as a process of its own, so that it can be killed.
type servePlane struct {
	*exec.Cmd
	xds, admin string
	ended      chan struct{}
}

// startServe starts it and waits until it is ready.
func (w *world) startServe(xdsAddress string, flags ...string) *servePlane {
	w.Helper()
	// The test binary is podway where it is called that; see TestMain.
	cmd := exec.CommandContext(context.WithoutCancel(w.Context()), "podway", append([]string{
		"serve", "--config", w.directory, "--xds-address", xdsAddress, "--admin-address", "127.0.0.1:0",
	}, flags...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(w, err)
	require.NoError(w, cmd.Start())
	plane := &servePlane{Cmd: cmd, ended: make(chan struct{})}
	w.Cleanup(plane.kill)
	ready := make(chan []string, 1)
	go func() {
		defer close(plane.ended)
		find := regexp.MustCompile(`msg=Ready xds=(\S+) admin=(\S+)`)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			_, _ = io.WriteString(w.log, lines.Text()+"\n") // a buffer in memory
			if match := find.FindStringSubmatch(lines.Text()); match != nil {
				ready <- match
			}
		}
		_ = cmd.Wait() // it is killed
	}()
	select {
	case match := <-ready:
		plane.xds, plane.admin = match[1], match[2]
		w.xdsAddress = plane.xds
	case <-plane.ended:
		w.Fatalf("podway serve ended:\n%s", w.log.String())
	case <-time.After(2 * time.Minute):
		w.Fatalf("podway serve is not ready after 2 minutes:\n%s", w.log.String())
	}
	return plane
}

// kill ends it as a crash does.
func (p *servePlane) kill() {
	_ = p.Process.Signal(os.Kill) // fails where it has ended already
	<-p.ended
}

// TestTrafficARestartFindsTheConfigurationBroken file by file, as by somebody who is editing it, or by a disk that was full: Envoys keep what they have.
func TestTrafficARestartFindsTheConfigurationBroken(t *testing.T) {
	w := newWorld(t)
	app := w.service(w.east, demo.ServiceConfig{Name: "app"}, 2)
	w.write("app.yaml", tunnelYAML("app", members("east/app=100"))+routeYAML("app", "app.example", []string{"app"}))
	state := t.TempDir()
	plane := w.startServe(w.anyPort(), "--state", state)
	w.adminAddress = plane.admin
	w.startEnvoy()
	w.awaitHosts("app", 100, app.Pods()...)
	w.awaitStatus("app.example", "/", http.StatusOK)
	kept := filepath.Join(state, "pods", ".configuration")
	eventually(t, "it is remembered", func() bool { _, err := os.Stat(kept); return err == nil })
	load := w.load("app.example", 4, 100).Start(t.Context())
	before := w.updates()
	for _, name := range []string{"app.yaml", "east.yaml", "gateway.yaml"} {
		good, err := os.ReadFile(filepath.Join(w.directory, name))
		require.NoError(t, err)
		plane.kill()
		w.write(name, "{")
		plane = w.startServe(w.xdsAddress, "--state", state)
		w.adminAddress = plane.admin
		eventually(t, "Envoy is back", func() bool { return strings.Contains(w.ask("envoys", "-o", "json"), `"test"`) })
		require.Contains(t, w.ask("problems"), name+":1: error InvalidYAML: the file is not valid YAML: did not find expected node content; its last good content stays in force")
		sent := load.Tally().Requests
		eventually(t, "more requests", func() bool { return load.Tally().Requests >= sent+50 })
		w.write(name, string(good))
		eventually(t, "the Problem's end", func() bool { return strings.Contains(w.ask("problems"), "no problems") })
	}
	require.NoError(t, load.Stop().Err())
	assert.Equal(t, before, w.updates())
}
