package main

import (
	"bytes"
	"crypto/tls"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/demo"
	"github.com/podway/podway/envoy"
	"github.com/podway/podway/holdback"
	"github.com/podway/podway/xds"
)

// tooLargeAsWell is rejected like tooLarge, and is not the same.
const tooLargeAsWell = `matches: [{path: {type: RegularExpression, value: '/(mnopqrstuvw){1000}'}}]`

// ask runs a command against the control plane's admin interface, whatever its exit code.
func (w *world) ask(args ...string) string {
	w.Helper()
	var stdout, stderr bytes.Buffer
	code := run(w.Context(), append(args, "--admin-address", w.adminAddress), nil, &stdout, &stderr)
	require.Contains(w, []int{exitOK, exitFailed}, code, stderr.String())
	return stdout.String()
}

// heldBack are the rejected contents of a node that something stands in for, as podway envoys tells them.
func (w *world) heldBack(node string) []xds.RejectedStatus {
	w.Helper()
	var envoys []xds.StreamStatus
	require.NoError(w, json.Unmarshal([]byte(w.ask("envoys", node, "-o", "json")), &envoys))
	var back []xds.RejectedStatus
	for _, e := range envoys {
		for _, of := range e.Types {
			for _, rejected := range of.Rejected {
				if rejected.HeldBack {
					rejected.At = rejected.At.UTC() // after a restart it is told so
					back = append(back, rejected)
				}
			}
		}
	}
	return back
}

// awaitHeldBack waits for so many: an object is accused as soon as it is rejected, and held back once it is found to be the one.
func (w *world) awaitHeldBack(node string, count int) (back []xds.RejectedStatus) {
	w.Helper()
	eventually(w.T, "what is held back", func() bool { back = w.heldBack(node); return len(back) == count })
	return back
}

// accused are the objects with a Problem RejectedByEnvoy.
func (w *world) accused() []string {
	w.Helper()
	var problems []api.Problem
	require.NoError(w, json.Unmarshal([]byte(w.ask("problems", "-o", "json")), &problems))
	var names []string
	for _, problem := range problems {
		if problem.Code == holdback.CodeRejectedByEnvoy && (len(names) == 0 || names[len(names)-1] != problem.Object.String()) {
			names = append(names, problem.Object.String())
		}
	}
	return names
}

func (w *world) awaitAccused(want ...string) {
	w.Helper()
	eventually(w.T, "Problems of "+strings.Join(want, ", "), func() bool { return strings.Join(w.accused(), ", ") == strings.Join(want, ", ") })
}

// awaitRoute waits for the header that a route adds.
func (w *world) awaitRoute(host, value string) {
	w.Helper()
	eventually(w.T, host+" "+value, func() bool {
		got, err := w.try(host, "/", nil)
		return err == nil && got.header.Get("X-Route") == value
	})
}

// TestTrafficTwoBadRoutesAtOnceAreToldUntilTheyChange follows two of four routes through being bad, bad in another way, deleted and corrected.
func TestTrafficTwoBadRoutesAtOnceAreToldUntilTheyChange(t *testing.T) {
	w := newWorld(t)
	app := w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	w.write("tunnel.yaml", tunnelYAML("app", members("east/app=100")))
	route := func(name string, extra ...string) string {
		return routeYAML(name, name+".example", []string{"app"}, extra...)
	}
	w.write("routes.yaml", route("a", header("1"))+route("b", header("1"))+route("c", header("1"))+route("d", header("1")))
	w.start()
	w.awaitHosts("app", 100, app.Pods()...)
	w.awaitRoute("a.example", "1")
	loads := []*demo.Running{
		w.load("a.example", 2, 100).Start(t.Context()), w.load("b.example", 2, 100).Start(t.Context()),
		w.load("c.example", 2, 100).Start(t.Context()),
	}

	w.write("routes.yaml", route("a", header("2"), tooLarge)+route("b", header("2"))+route("c", header("2"), tooLargeAsWell)+route("d", header("2")))
	w.awaitRoute("b.example", "2")
	w.awaitRoute("d.example", "2")
	w.awaitAccused("HTTPRoute edge/a", "HTTPRoute edge/c")
	assert.Equal(t, "1", w.get("a.example", "/").header.Get("X-Route"))
	assert.Equal(t, "1", w.get("c.example", "/").header.Get("X-Route"))
	back := w.awaitHeldBack("test", 2)
	for i, name := range []string{"a", "c"} {
		assert.Equal(t, "HTTPRoute edge/"+name, back[i].Object.String())
		assert.Contains(t, back[i].Message, "max program size")
		assert.False(t, back[i].At.IsZero())
	}
	assert.Contains(t, w.ask("envoys"), "2 rejected")
	text := w.ask("envoys", "test")
	assert.Contains(t, text, "held back since: HTTPRoute edge/a")
	assert.Contains(t, w.ask("problems"), "an Envoy of the Gateway edge/front (test) rejects")
	config := w.clientStatus("gateway/edge/front/" + portOf(w.http))
	assert.Equal(t, statusv3.ConfigStatus_ERROR, config.GetConfigStatus())
	assert.Contains(t, config.GetErrorState().GetDetails(), "max program size")
	assert.NotEqual(t, config.GetVersionInfo(), config.GetErrorState().GetVersionInfo())

	// One is bad in another way, and one goes.
	w.write("routes.yaml", route("a", header("3"), tooLargeAsWell)+route("b", header("3"))+route("d", header("3")))
	w.awaitRoute("b.example", "3")
	w.awaitAccused("HTTPRoute edge/a")
	for _, load := range loads {
		assert.Equal(t, load == loads[2], load.Stop().Err() != nil, "only the one that was deleted failed")
	}
	w.awaitStatus("c.example", "/", http.StatusNotFound)
	assert.Equal(t, "1", w.get("a.example", "/").header.Get("X-Route"))
	w.awaitHeldBack("test", 1)
	w.write("routes.yaml", route("a", header("4"))+route("b", header("4"))+route("d", header("4")))
	w.awaitRoute("a.example", "4")
	w.awaitAccused()
	w.awaitHeldBack("test", 0)
	eventually(t, "no error", func() bool {
		return w.clientStatus("gateway/edge/front/"+portOf(w.http)).GetConfigStatus() == statusv3.ConfigStatus_SYNCED
	})
}

// clientStatus is what CSDS tells of a RouteConfiguration of the one Envoy.
func (w *world) clientStatus(name string) *statusv3.ClientConfig_GenericXdsConfig {
	w.Helper()
	conn, err := grpc.NewClient(w.xdsAddress, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(w, err)
	defer func() { _ = conn.Close() }()
	response, err := statusv3.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(w.Context(), &statusv3.ClientStatusRequest{})
	require.NoError(w, err)
	for _, config := range response.GetConfig()[0].GetGenericXdsConfigs() {
		if config.GetName() == name && strings.HasSuffix(config.GetTypeUrl(), "RouteConfiguration") {
			return config
		}
	}
	return nil
}

// TestTrafficARestartWithTwoBadRoutesServesTheOthers though the new podway has never seen what was accepted.
func TestTrafficARestartWithTwoBadRoutesServesTheOthers(t *testing.T) {
	w := newWorld(t)
	app := w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	route := func(name string, extra ...string) string {
		return routeYAML(name, name+".example", []string{"app"}, extra...)
	}
	w.write("tunnel.yaml", tunnelYAML("app", members("east/app=100")))
	w.write("routes.yaml", route("a", header("1"))+route("b", header("1"))+route("c", header("1"))+route("d", header("1")))
	plane := w.startServe(w.anyPort())
	w.startEnvoy()
	w.awaitHosts("app", 100, app.Pods()...)
	w.awaitRoute("d.example", "1")
	loads := []*demo.Running{w.load("b.example", 2, 100).Start(t.Context()), w.load("d.example", 2, 100).Start(t.Context())}
	plane.kill()
	w.write("routes.yaml", route("a", header("2"), tooLarge)+route("b", header("2"))+route("c", header("2"), tooLargeAsWell)+route("d", header("2")))
	w.startServe(w.xdsAddress)
	w.awaitRoute("b.example", "2")
	w.awaitRoute("d.example", "2")
	w.write("routes.yaml", route("a", header("2"), tooLarge)+route("b", header("3"))+route("c", header("3"))+route("d", header("3")))
	w.awaitRoute("c.example", "3")
	w.awaitRoute("d.example", "3")
	for _, load := range loads {
		require.NoError(t, load.Stop().Err())
	}
}

// TestTrafficARestartRemembersWhatIsHeldBack, so that no request to the route that is held back fails, and Envoy is sent nothing.
func TestTrafficARestartRemembersWhatIsHeldBack(t *testing.T) {
	w := newWorld(t)
	app := w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	route := func(name string, extra ...string) string {
		return routeYAML(name, name+".example", []string{"app"}, extra...)
	}
	w.write("tunnel.yaml", tunnelYAML("app", members("east/app=100")))
	w.write("routes.yaml", route("a", header("1"))+route("b", header("1")))
	state := t.TempDir()
	plane := w.startServe(w.anyPort(), "--state", state)
	w.adminAddress = plane.admin
	w.startEnvoy()
	w.awaitHosts("app", 100, app.Pods()...)
	w.awaitRoute("a.example", "1")
	load := w.load("a.example", 2, 100).Start(t.Context())
	w.write("routes.yaml", route("a", header("2"), tooLarge)+route("b", header("2")))
	w.awaitRoute("b.example", "2")
	back := w.awaitHeldBack("test", 1)
	problems := w.ask("problems")
	kept := filepath.Join(state, "pods", ".holdbacks")
	eventually(t, "it is remembered", func() bool { _, err := os.Stat(kept); return err == nil })

	plane.kill()
	before := w.updates()
	plane = w.startServe(w.xdsAddress, "--state", state)
	w.adminAddress = plane.admin
	require.Equal(t, problems, w.ask("problems"), "it is told before any Envoy rejects it again")
	eventually(t, "Envoy is back", func() bool { return strings.Contains(w.ask("envoys", "-o", "json"), `"test"`) })
	require.Equal(t, back, w.awaitHeldBack("test", 1))
	w.write("routes.yaml", route("a", header("2"), tooLarge)+route("b", header("3")))
	w.awaitRoute("b.example", "3")
	require.Equal(t, "1", w.get("a.example", "/").header.Get("X-Route"))
	rejected := w.stats("update_rejected$")
	w.write("routes.yaml", route("a", header("4"))+route("b", header("3")))
	w.awaitRoute("a.example", "4")
	w.awaitAccused()
	eventually(t, "it is forgotten", func() bool { _, err := os.Stat(kept); return os.IsNotExist(err) })
	require.Equal(t, rejected, w.stats("update_rejected$"))
	require.NoError(t, load.Stop().Err())
	for name, count := range w.updates() {
		if strings.HasPrefix(name, "http.") {
			require.Equal(t, before[name]+2, count, name)
		}
	}
}

// TestTrafficOneOfTwoEnvoysRejects has one that allows larger regular expressions than the other.
func TestTrafficOneOfTwoEnvoysRejects(t *testing.T) {
	w := newWorld(t)
	w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	route := func(name string, extra ...string) string {
		return routeYAML(name, name+".example", []string{"app"}, extra...)
	}
	w.write("tunnel.yaml", tunnelYAML("app", members("east/app=100")))
	w.write("routes.yaml", route("a", header("first"))+route("b", header("first")))
	w.start()
	strict := w.envoy
	liberal := w.startLiberal("liberal")
	has := func(of *envoy.Process, texts ...string) func() bool {
		return func() bool {
			dump, err := of.Admin().ConfigDump(w.Context(), url.Values{"resource": {"dynamic_route_configs"}})
			for _, text := range texts {
				if err != nil || !strings.Contains(string(dump), text) {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "both have the routes", func() bool { return has(strict, "first")() && has(liberal, "first")() })
	w.write("routes.yaml", route("a", header("bad"), tooLarge)+route("b", header("second")))
	w.awaitAccused("HTTPRoute edge/a")
	for _, of := range []*envoy.Process{strict, liberal} {
		eventually(t, "the good change, and the last form that both accepted", has(of, "first", "second"))
		assert.False(t, has(of, "{1000}")())
	}
	w.awaitHeldBack("test", 1)
	require.Empty(t, w.heldBack("liberal"))
	assert.Contains(t, w.ask("problems"), "an Envoy of the Gateway edge/front (test) rejects")
	w.write("routes.yaml", route("a", header("third"))+route("b", header("third")))
	w.awaitAccused()
	for _, of := range []*envoy.Process{strict, liberal} {
		eventually(t, "the corrected route", func() bool { return has(of, "third")() && !has(of, "first")() })
	}

	// With a second one that takes it, the strict one alone has the last form that it accepted, and all else changes.
	other := w.startLiberal("liberal-2")
	eventually(t, "it has the routes", has(other, "third"))
	load := w.load("b.example", 8, 400).Start(t.Context())
	w.write("routes.yaml", route("a", header("fourth"), tooLarge)+route("b", header("fourth")))
	for _, of := range []*envoy.Process{liberal, other} {
		eventually(t, "what most accept", func() bool { return has(of, "{1000}", "fourth")() && !has(of, "third")() })
	}
	w.awaitAccused("HTTPRoute edge/a")
	eventually(t, "the rest", has(strict, "third", "fourth"))
	w.awaitHeldBack("test", 1)
	require.Empty(t, w.heldBack("liberal"))
	assert.Contains(t, w.ask("problems"), "an Envoy of the Gateway edge/front (test) rejects gateway/edge/front/")
	assert.Contains(t, w.ask("problems"), "for these Envoys alone")
	w.write("routes.yaml", route("a", header("fourth"), tooLarge)+route("b", header("fifth")))
	eventually(t, "the rest goes on changing", func() bool { return has(strict, "third", "fifth")() && !has(strict, "fourth")() })
	eventually(t, "for the others too", has(other, "{1000}", "fourth", "fifth"))
	w.write("routes.yaml", route("a", header("sixth"))+route("b", header("sixth")))
	w.awaitAccused()
	for _, of := range []*envoy.Process{strict, liberal, other} {
		eventually(t, "the corrected route", func() bool { return has(of, "sixth")() && !has(of, "third")() && !has(of, "fifth")() })
	}
	require.NoError(t, load.Stop().Err())
}

// TestTrafficAMinorityGoesOnOverRestarts of podway, and of the Envoy that it is made of.
func TestTrafficAMinorityGoesOnOverRestarts(t *testing.T) {
	w := newWorld(t)
	w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	routes := func(a, b string, extra ...string) {
		w.write("routes.yaml", routeYAML("a", "a.example", []string{"app"}, append([]string{header(a)}, extra...)...)+
			routeYAML("b", "b.example", []string{"app"}, header(b)))
	}
	w.write("tunnel.yaml", tunnelYAML("app", members("east/app=100")))
	routes("first", "first")
	state := t.TempDir()
	plane := w.startServe(w.anyPort(), "--state", state)
	w.adminAddress = plane.admin
	w.startEnvoy()
	strict := w.envoy
	liberal, other := w.startLiberal("liberal"), w.startLiberal("liberal-2")
	has := func(of *envoy.Process, texts ...string) {
		t.Helper()
		eventually(t, strings.Join(texts, " and "), func() bool {
			dump, err := of.Admin().ConfigDump(w.Context(), url.Values{"resource": {"dynamic_route_configs"}})
			return err == nil && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(string(dump), text) })
		})
	}
	for _, of := range []*envoy.Process{strict, liberal, other} {
		has(of, "first")
	}
	load := w.load("b.example", 8, 400).Start(t.Context())
	routes("second", "second", tooLarge)
	has(liberal, "{1000}", "second")
	has(strict, "first", "second")
	w.awaitHeldBack("test", 1)
	problems := w.ask("problems")
	eventually(t, "it is remembered", func() bool { _, err := os.Stat(filepath.Join(state, "pods", ".holdbacks")); return err == nil })

	plane.kill()
	plane = w.startServe(w.xdsAddress, "--state", state)
	w.adminAddress = plane.admin
	routes("second", "third", tooLarge)
	has(liberal, "{1000}", "third")
	has(strict, "first", "third")
	require.Equal(t, problems, w.ask("problems"))

	routes("fifth", "fifth")
	for _, of := range []*envoy.Process{strict, liberal, other} {
		has(of, "fifth")
	}
	w.awaitAccused()

	// The strict one that starts anew has what it had.
	routes("sixth", "sixth", tooLarge)
	has(liberal, "{1000}", "sixth")
	has(strict, "fifth", "sixth")
	require.NoError(t, load.Stop().Err())
	require.NoError(t, strict.Stop())
	w.logs = t.TempDir()
	w.startEnvoy()
	has(w.envoy, "fifth", "sixth")
	for name, count := range w.stats("update_rejected$") {
		require.Zero(t, count, name)
	}
}

// startLiberal runs an Envoy that takes large regular expressions.
func (w *world) startLiberal(node string) *envoy.Process {
	w.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: "front"}, NodeID: node, XDSAddress: w.xdsAddress, AdminAddress: "127.0.0.1:0",
	})
	require.NoError(w, err)
	for _, layer := range bootstrap.GetLayeredRuntime().GetLayers() {
		if static := layer.GetStaticLayer(); static != nil {
			static.Fields["re2.max_program_size.error_level"] = structpb.NewNumberValue(1e6)
		}
	}
	w.logs = w.TempDir()
	w.startEnvoyWith(bootstrap)
	return w.envoy
}

// TestTrafficARejectedSecretOrListenerCostsItselfAlone has a certificate that podway reads and Envoy does not, and a port that is taken.
func TestTrafficARejectedSecretOrListenerCostsItselfAlone(t *testing.T) {
	w := newWorld(t)
	w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	secrets := func(certificate, key string) string {
		return tlsSecretYAML("edge", "a", certificate, key) + tlsSecretYAML("edge", "b", pair("second").certificate, pair("second").key)
	}
	routes := func(value string) string {
		return routeYAML("a", "a.example.com", []string{"app"}, header(value)) + routeYAML("b", "b.example.com", []string{"app"}, header(value))
	}
	listeners := httpsListener(w, "a", "a.example.com") + httpsListener(w, "b", "b.example.com")
	w.write("gateway.yaml", w.gatewayYAML(listeners))
	w.write("tunnel.yaml", tunnelYAML("app", members("east/app=100")))
	w.write("routes.yaml", routes("1"))
	w.write("secrets.yaml", secrets(pair("first").certificate, pair("first").key))
	w.start()
	served := func(host, name, value string) {
		t.Helper()
		eventually(t, host+" "+name+" "+value, func() bool {
			got, err := w.try(host, "/", &tls.Config{InsecureSkipVerify: true})
			return err == nil && got.peer.PeerCertificates[0].Subject.CommonName == name && got.header.Get("X-Route") == value
		})
	}
	served("a.example.com", "first", "1")
	w.write("secrets.yaml", secrets(versionless(t, pair("third").certificate), pair("third").key))
	w.awaitAccused("Secret edge/a")
	w.write("routes.yaml", routes("2"))
	served("a.example.com", "first", "2")
	served("b.example.com", "second", "2")
	assert.Equal(t, "Secret edge/a", w.awaitHeldBack("test", 1)[0].Object.String())
	assert.NotContains(t, w.ask("envoys", "test")+w.ask("problems")+w.log.String(), "BEGIN")
	w.write("secrets.yaml", secrets(pair("third").certificate, pair("third").key))
	served("a.example.com", "third", "2")
	w.awaitAccused()

	blocker, err := net.Listen("tcp", w.anyPort())
	require.NoError(t, err)
	defer blocker.Close()
	taken := portOf(netip.MustParseAddrPort(blocker.Addr().String()))
	w.write("gateway.yaml", w.gatewayYAML(listeners+"  - {name: taken, protocol: HTTP, port: "+taken+"}\n"))
	w.awaitAccused("Gateway edge/front")
	w.write("routes.yaml", routes("3"))
	served("a.example.com", "third", "3")
	w.awaitRoute("b.example.com", "3")
	w.write("gateway.yaml", w.gatewayYAML(listeners))
	w.awaitAccused()
}

// versionless is a certificate that does not say its version, as one of version 1, and has extensions all the same, which are of version 3. Go overlooks them,
// and Envoy refuses it.
func versionless(t *testing.T, certificate string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	var whole, signed []asn1.RawValue // the version is the first of what is signed
	_, err := asn1.Unmarshal(block.Bytes, &whole)
	require.NoError(t, err)
	_, err = asn1.Unmarshal(whole[0].FullBytes, &signed)
	require.NoError(t, err)
	text, err := asn1.Marshal(signed[1:])
	require.NoError(t, err)
	whole[0] = asn1.RawValue{FullBytes: text}
	der, err := asn1.Marshal(whole)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}))
}
