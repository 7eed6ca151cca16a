//go:build clusters

package clusters

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// followedWithin is how late a change may be followed that comes after an API server has come back. It is 1 s on a machine that has time.
const followedWithin = 5 * time.Second

// fault is something that happens to an API server.
type fault struct {
	name string
	// member is whose.
	member string
	do     func(m *member) (undo func())
	state  fleet.State
	reason []string
	// code of the Problem that tells of it.
	code string
	// relists is true where the server cannot tell what happened meanwhile, and must be asked for everything.
	relists bool
}

var faults = []fault{
	{name: "killed", member: "direct", state: fleet.Stale, reason: []string{"connection refused"}, do: func(m *member) func() {
		m.Kill()
		return func() { m.Restart(kubetest.RestartOptions{}) }
	}},
	{name: "stopped", member: "direct", state: fleet.Stale, reason: []string{"connection refused"}, do: func(m *member) func() {
		m.StopServer()
		return func() { m.Restart(kubetest.RestartOptions{}) }
	}},
	{name: "restarted without history", member: "direct", relists: true, state: fleet.Stale, reason: []string{"connection refused"}, do: func(m *member) func() {
		// What podway does not watch makes the version that podway has seen last an old one.
		m.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "unseen"}})
		m.Kill()
		return func() { m.Restart(kubetest.RestartOptions{Compact: true}) }
	}},
	{name: "frozen", member: "direct", state: fleet.Stale, reason: []string{"the server does not answer"}, do: func(m *member) func() {
		m.Freeze()
		return m.Thaw
	}},
	{name: "blackholed", member: "fronted", state: fleet.Stale, reason: []string{"the server does not answer"}, do: func(m *member) func() {
		m.proxy.Blackhole()
		return m.proxy.Pass
	}},
	{name: "unreachable", member: "fronted", state: fleet.Stale, reason: []string{"connection refused"}, do: func(m *member) func() {
		m.proxy.Refuse()
		return m.proxy.Accept
	}},
	{name: "answers 500", member: "fronted", state: fleet.Stale, reason: []string{"kube-system", "the test says so"}, do: answers(http.StatusInternalServerError, 0, kubetest.Any)},
	{name: "answers 429", member: "fronted", state: fleet.Stale, reason: []string{"kube-system", "too many requests"}, do: answers(http.StatusTooManyRequests, time.Second, kubetest.Any)},
	{
		name: "answers 500 to lists and watches", member: "fronted", state: fleet.Stale, reason: []string{" services in all namespaces: ", "the test says so"},
		do: answers(http.StatusInternalServerError, 0, kubetest.Is("", "services")),
	},
	{
		name: "answers 429 to lists and watches", member: "fronted", state: fleet.Stale, reason: []string{"endpointslices in all namespaces: ", "too many requests"},
		do: answers(http.StatusTooManyRequests, time.Second, kubetest.Is("", "endpointslices")),
	},
	{
		name: "answers 403", member: "fronted", state: fleet.Refused, reason: []string{" services in all namespaces"}, code: fleet.CodeClusterRefused,
		do: answers(http.StatusForbidden, 0, kubetest.Is("", "services")),
	},
	{
		name: "answers 401", member: "fronted", state: fleet.Refused, reason: []string{"the server does not accept the credential (401 Unauthorized)"}, code: fleet.CodeClusterRefused,
		do: answers(http.StatusUnauthorized, 0, kubetest.Any),
	},
}

// answers has the Front answer what matches from now on, and ends all that is under way.
func answers(code int, after time.Duration, matches func(kubetest.Request) bool) func(*member) func() {
	return func(m *member) func() {
		stop := m.front.Answer(matches, kubetest.Answer{Code: code, RetryAfter: after})
		m.cut()
		return stop
	}
}

// TestAPIServerInTroubleCostsNoRequest breaks the API server of one cluster after the other in every way under load: the tunnel keeps all its
// Pods, a person is told why, and what changes afterwards is followed.
func TestAPIServerInTroubleCostsNoRequest(t *testing.T) {
	w := newWorld(t, memberConfig{name: "direct", network: 71}, memberConfig{name: "fronted", network: 72, proxied: true, fronted: true})
	services := map[string]*handmade{}
	for _, name := range []string{"direct", "fronted"} {
		services[name] = w.members[name].handmade(3)
	}
	all := slices.Concat(services["direct"].pods, services["fronted"].pods)
	w.newTunnel("web", []string{"direct", "fronted"}, "retry: {attempts: 0}")
	w.start()
	w.awaitState("direct", fleet.Live)
	w.awaitState("fronted", fleet.Live)
	w.edge.await("web", all...)
	guard := w.guard("web", all...)
	for _, f := range faults {
		w.run(f.name, func() { w.survive(f, services) })
	}
	w.run("slow", func() {
		load := w.load("web", 100)
		w.members["fronted"].proxy.Delay(400 * time.Millisecond)
		took := services["fronted"].follow("web", services["direct"].pods...)
		w.Logf("measured: followed in %s at 400 ms each way", took)
		w.awaitState("fronted", fleet.Live)
		w.members["fronted"].proxy.Delay(0)
		w.requireServed(load)
	})
	guard.end(w)
}

// survive goes through one fault.
func (w *world) survive(f fault, services map[string]*handmade) {
	m := w.members[f.member]
	others := services["direct"].pods
	if f.member == "direct" {
		others = services["fronted"].pods
	}
	before := w.awaitState(f.member, fleet.Live)
	load := w.load("web", 100)
	w.requests(load, 20)
	undo := f.do(m)
	begun := time.Now()
	now := w.awaitState(f.member, f.state, f.reason...)
	told := time.Since(begun)
	require.Equal(w, before.Pods, now.Pods)
	require.False(w, now.LastEvent.IsZero())
	code := f.code
	if code == "" {
		code = fleet.CodeClusterStale
	}
	w.awaitProblem(code, f.member, append([]string{fmt.Sprintf("its %d Pods that were last known stay in force", now.Pods)}, f.reason...)...)
	w.requireSaid("Cluster changed its state", "cluster="+f.member, "to="+string(f.state))
	w.requests(load, 100)
	undo()
	// A change as soon as the server is there again, whatever podway knows of that.
	took := services[f.member].follow("web", others...)
	w.Logf("measured: told after %s; followed %s after it was back", told.Round(time.Millisecond), took.Round(time.Millisecond))
	after := w.awaitState(f.member, fleet.Live)
	require.Equal(w, before.UID, after.UID)
	if f.relists {
		require.Greater(w, after.Relists, before.Relists)
	}
	w.awaitNoProblem(code, f.member)
	w.requests(load, 50)
	w.requireServed(load)
	require.Less(w, took, followedWithin)
}
