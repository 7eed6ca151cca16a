//go:build clusters

package clusters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/envoy"
	"github.com/podway/podway/watcher/fleet"
)

// poor is how to run an Envoy that lacks what others of its Gateway have: the certificates of its system, and the right to listen below port 1024.
type poor struct {
	// certificates is what it sees instead of /etc/ssl/certs.
	certificates string
	path         string
}

// poor is skipped where a process may not be given a file system of its own, or there are no certificates to take away.
func (w *world) poor() poor {
	w.Helper()
	p := poor{certificates: w.whole.TempDir(), path: filepath.Join(w.whole.TempDir(), "envoy")}
	write := func(program string) {
		script := fmt.Sprintf("#!/bin/sh\nexec unshare -m sh -c 'mount --bind %s /etc/ssl/certs && "+
			"exec setpriv --bounding-set -net_bind_service --inh-caps -net_bind_service %s \"$@\"' sh \"$@\"\n",
			p.certificates, program)
		require.NoError(w, os.WriteFile(p.path, []byte(script), 0o755))
	}
	write("true")
	said, err := exec.Command(p.path).CombinedOutput()
	if _, none := os.Stat(systemCertificates); err != nil || none != nil {
		w.Skip("an Envoy cannot be made to lack something here: ", err, none, string(said))
	}
	whole, err := envoy.Find()
	require.NoError(w, err)
	write(whole)
	return p
}

// systemCertificates is where Envoys find those of the system.
const systemCertificates = "/etc/ssl/certs/ca-certificates.crt"

// startEnvoyAs starts one more Envoy of a Gateway.
func (w *world) startEnvoyAs(gateway, node, path string) *edge {
	w.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: gateway}, NodeID: node, XDSAddress: cmp.Or(w.relay, w.plane.xds), AdminAddress: "127.0.0.1:0",
	})
	require.NoError(w, err)
	process, err := envoy.Start(context.Background(), envoy.StartConfig{Path: path, Bootstrap: bootstrap, Directory: w.whole.TempDir(), Concurrency: 1})
	require.NoError(w, err)
	w.whole.Cleanup(func() {
		if err := process.Stop(); err != nil {
			w.Errorf("stopping Envoy: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	require.NoError(w, process.WaitReady(ctx))
	return &edge{Process: process, w: w}
}

// tells is what a command tells of podway, whatever its exit code.
func (w *world) tells(args ...string) string {
	w.Helper()
	path, err := podway()
	require.NoError(w, err)
	said, err := exec.Command(path, append(args, "--admin-address", w.plane.admin)...).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		require.NoError(w, err)
	}
	return string(said)
}

// has waits until an Envoy's configuration has all of these in it.
func (e *edge) has(resource string, texts ...string) {
	e.w.Helper()
	e.w.eventually(fmt.Sprintf("%s has %s", resource, texts), func() bool {
		dump, err := e.Admin().ConfigDump(e.w.Context(), url.Values{"resource": {resource}})
		return err == nil && containsAll(string(dump), texts)
	})
}

// TestAMinorityOfEnvoysLacksSomething has two Gateways with the same tunnels, and one Envoy of four that rejects what the others take. All else must be
// followed by all of them, also over the end of podway.
func TestAMinorityOfEnvoysLacksSomething(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71}, memberConfig{name: "west", network: 72})
	east, west := w.members["east"].handmade(4), w.members["west"].handmade(3)
	names := []string{"east", "west"}
	w.newTunnel("web", names, "retry: {attempts: 0}")
	w.startPlane("--state", w.state)
	w.awaitState("east", fleet.Live)
	w.awaitState("west", fleet.Live)
	poor := w.poor()
	front := []*edge{w.startEnvoyAs("front", "front-1", ""), w.startEnvoyAs("front", "front-2", "")}
	weak := w.startEnvoyAs("front", "front-poor", poor.path)
	spare := w.startEnvoyAs("spare", "spare-1", "")
	well := append(slices.Clone(front), spare)
	all := append(slices.Clone(well), weak)
	w.edge = front[0]
	await := func(tunnel string, of []*edge, pods ...*pod) {
		w.Helper()
		for _, e := range of {
			e.await(tunnel, pods...)
		}
	}
	pods := func() []*pod { return slices.Concat(east.pods, west.pods) }
	await("web", all, pods()...)
	load := w.load("web", 100)
	header := func(value string) string {
		return strings.Replace(routeYAML("web"), "  - backendRefs", "  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-route, value: "+value+"}]}}]\n    backendRefs", 1)
	}
	n := 0
	// changes has Pods, routes and a new tunnel change, and all of the Envoys must have it.
	changes := func() {
		w.Helper()
		n++
		added := east.m.newPod("web")
		before := east.pods
		east.set(append(slices.Clone(before), added)...)
		await("web", all, pods()...)
		east.set(before...)
		await("web", all, pods()...)
		added.stop(w)
		value := fmt.Sprintf("value-%d", n)
		w.write("tunnel-web.yaml", tunnelYAML("web", names, "retry: {attempts: 0}")+header(value))
		w.newTunnel(fmt.Sprintf("more-%d", n), names)
		for _, e := range all {
			e.has("dynamic_route_configs", value, fmt.Sprintf("more-%d.example", n))
			e.await(fmt.Sprintf("more-%d", n), pods()...)
		}
	}
	changes()
	w.run("a tunnel", func() {
		w.newTunnel("tls", names, "tls: {hostname: web.example, wellKnownCACertificates: System}")
		await("tls", well, pods()...)
		for _, e := range well {
			e.has("dynamic_route_configs", "tls.example", "tunnel/edge/tls")
		}
		changes()
		w.awaitProblem("RejectedByEnvoy", "tls", "an Envoy of the Gateway edge/front (front-poor) rejects tunnel/edge/tls", "Invalid path: "+systemCertificates,
			"for these Envoys alone")
		require.Contains(w, w.tells("envoys", "front-poor"), "rejected cds tunnel/edge/tls")
		require.Contains(w, w.tells("envoys"), "4 Envoys, 1 with rejections")
	})
	w.run("and a listener", func() {
		const next = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: spare"
		w.write("gateway.yaml", strings.Replace(w.gatewayYAML(), next, "  - {name: low, protocol: HTTP, port: 81}\n"+next, 1))
		for _, e := range front {
			e.has("dynamic_listeners", "gateway/edge/front/81")
		}
		changes()
		w.awaitProblem("RejectedByEnvoy", "front", "(front-poor) rejects gateway/edge/front/81", "Permission denied")
	})
	w.run("podway is killed", func() {
		before := w.tells("problems")
		for range 3 {
			w.plane.kill()
			w.startPlane("--state", w.state)
			changes()
		}
		require.Equal(w, before, w.tells("problems"))
	})
	w.run("it has the certificates, and is started anew", func() {
		content, err := os.ReadFile(systemCertificates)
		require.NoError(w, err)
		require.NoError(w, os.WriteFile(filepath.Join(poor.certificates, filepath.Base(systemCertificates)), content, 0o644))
		// The Envoys of a Gateway share its address here, and one that ends without draining breaks off the requests that it has.
		w.requireServed(load)
		require.NoError(w, weak.Stop())
		weak = w.startEnvoyAs("front", "front-poor", poor.path)
		all = append(slices.Clone(well), weak)
		await("tls", all, pods()...)
		load = w.load("web", 100)
		w.awaitNoProblem("RejectedByEnvoy", "tls")
		changes()
	})
	w.run("the listener changes", func() {
		w.write("gateway.yaml", w.gatewayYAML())
		w.awaitNoProblem("RejectedByEnvoy", "front")
		changes()
		require.Contains(w, w.tells("envoys"), "4 Envoys, all current")
	})
	w.requireServed(load)
}
