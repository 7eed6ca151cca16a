//go:build clusters

package clusters

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/fleet"
)

// ownTokens is the right to renew tokens of ServiceAccounts in the namespace shop.
func ownTokens() kubetest.Grant {
	return kubetest.Grant{Namespace: namespace, Rules: []rbacv1.PolicyRule{kubetest.Rule([]string{"create"}, "", "serviceaccounts/token")}}
}

// TestCredentialsChange changes, breaks and ends what podway may do in a cluster while requests flow.
func TestCredentialsChange(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, fronted: true})
	east := w.members["east"]
	web := east.handmade(4)
	w.newTunnel("web", []string{"east"})
	w.start()
	w.awaitState("east", fleet.Live)
	w.edge.await("web", web.pods...)
	guard := w.guard("web", web.pods...)
	load := w.load("web", 100)

	account := east.Account(namespace, "podway", everything()...)
	first := east.Token(account, time.Hour)
	w.run("a changed kubeconfig takes over once it has synced", func() {
		relists := w.awaitState("east", fleet.Live).Relists
		east.authorize(first)
		w.awaitUse(east, first)
		now := w.awaitState("east", fleet.Live)
		require.WithinDuration(w, time.Now().Add(time.Hour), now.CredentialExpires, 2*time.Minute)
		require.LessOrEqual(w, now.Relists, relists)
		require.Less(w, web.follow("web"), followedWithin)
	})
	w.run("an expired token, and a new one", func() {
		stop := east.front.Answer(func(r kubetest.Request) bool { return r.Token == first }, kubetest.Answer{Code: 401})
		defer stop()
		east.cut()
		w.awaitState("east", fleet.Refused, "the server does not accept the credential (401 Unauthorized)")
		w.awaitProblem(fleet.CodeClusterRefused, "east", "401 Unauthorized", "its 4 Pods that were last known stay in force")
		second := east.Token(account, 2*time.Hour)
		east.authorize(second)
		w.awaitUse(east, second)
		w.awaitState("east", fleet.Live)
		w.awaitNoProblem(fleet.CodeClusterRefused, "east")
		require.Less(w, web.follow("web"), followedWithin)
	})
	good, err := os.ReadFile(east.kubeconfig())
	require.NoError(t, err)
	for name, bad := range map[string]struct {
		content func() []byte
		code    string
		message string
	}{
		"no YAML":           {func() []byte { return []byte("}") }, credential.CodeInvalidKubeconfig, "the kubeconfig cannot be read"},
		"half written":      {func() []byte { return good[:len(good)/2] }, credential.CodeInvalidKubeconfig, "the credential that was in force before still is"},
		"without its end":   {func() []byte { return good[:len(good)-10] }, fleet.CodeCandidateNotInForce, "the server does not accept the credential (401 Unauthorized); the one before still is"},
		"expired":           {func() []byte { return w.kubeconfig(east, east.SignToken(account, time.Now().Add(-2*time.Minute))) }, credential.CodeCredentialExpired, "the credential that was in force before still is"},
		"refused":           {func() []byte { return w.kubeconfig(east, "unheard-of-token") }, fleet.CodeCandidateNotInForce, "the server does not accept the credential (401 Unauthorized); the one before still is"},
		"nobody there":      {func() []byte { return east.KubeconfigAt("https://127.0.0.1:1", first) }, fleet.CodeCandidateNotInForce, "connection refused; the one before still is"},
		"without any right": {func() []byte { return w.kubeconfig(east, east.Token(east.Account(namespace, "nobody"), time.Hour)) }, fleet.CodeCandidateNotInForce, "not allowed to get namespaces named kube-system; the one before still is"},
	} {
		w.run("a bad kubeconfig changes nothing: "+name, func() {
			east.writeKubeconfig(bad.content())
			w.awaitProblem(bad.code, "east", bad.message)
			w.awaitState("east", fleet.Live)
			require.Less(w, web.follow("web"), followedWithin)
			east.writeKubeconfig(good)
			w.awaitNoProblem(bad.code, "east")
			w.awaitState("east", fleet.Live)
		})
	}
	w.run("rights are taken away and given back", func() {
		east.Allow(account, kubetest.Grant{Rules: []rbacv1.PolicyRule{
			kubetest.Rule([]string{"get", "list", "watch"}, "", "services", "namespaces"), kubetest.Rule([]string{"list"}, "discovery.k8s.io", "endpointslices"),
		}})
		east.awaitRight("podway", "watch", "discovery.k8s.io", "endpointslices", "", false)
		east.cut()
		w.awaitState("east", fleet.Refused, "not allowed to watch endpointslices in all namespaces")
		w.awaitProblem(fleet.CodeClusterRefused, "east", "not allowed to watch endpointslices in all namespaces", "its 4 Pods that were last known stay in force")
		lists := east.front.Count("list", "endpointslices")
		w.never("the state changes again and again", 3*time.Second, func() bool {
			now, err := w.plane.cluster("east")
			return err != nil || now.State != fleet.Refused
		})
		require.LessOrEqual(w, east.front.Count("list", "endpointslices")-lists, 4, "lists are not for asking whether a watch is allowed")
		begun := time.Now()
		east.Allow(account, everything()...)
		w.awaitState("east", fleet.Live)
		w.Logf("measured: live %s after the rights were given back", time.Since(begun).Round(time.Millisecond))
		require.Less(w, web.follow("web"), followedWithin)
	})
	guard.end(w)
	w.requireServed(load)
}

// TestTokenExpiresOnOpenWatches lets a token really end. The API server ends no watch for that, so that nothing is amiss until one has to be opened anew.
func TestTokenExpiresOnOpenWatches(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, fronted: true})
	east := w.members["east"]
	web := east.handmade(4)
	w.newTunnel("web", []string{"east"})
	account := east.Account(namespace, "podway", everything()...)
	const lifetime = 10 * time.Second
	ends := time.Now().Add(lifetime)
	token := east.SignToken(account, ends)
	east.authorize(token)
	w.start()
	w.awaitState("east", fleet.Live)
	w.edge.await("web", web.pods...)
	guard := w.guard("web", web.pods...)
	load := w.load("web", 100)
	relists := w.awaitState("east", fleet.Live).Relists

	w.run("what is open is followed still", func() {
		w.awaitProblem(credential.CodeCredentialExpired, "east")
		// Past the leeway of the server, which takes the token for good until then.
		<-time.After(time.Until(ends.Add(kubetest.ExpiryLeeway)))
		now := w.awaitState("east", fleet.Live)
		require.Equal(w, relists, now.Relists)
		require.Less(w, web.follow("web"), followedWithin)
	})
	w.run("what is opened anew is refused", func() {
		begun := time.Now()
		east.cut()
		w.awaitState("east", fleet.Refused, "the server does not accept the credential (401 Unauthorized)")
		w.Logf("measured: refused %s after the connections were cut", time.Since(begun).Round(time.Millisecond))
		w.awaitProblem(fleet.CodeClusterRefused, "east", "401 Unauthorized", "its 4 Pods that were last known stay in force")
		w.requests(load, 100)
		w.edge.await("web", web.pods...)
	})
	w.run("another token is picked up", func() {
		second := east.Token(account, time.Hour)
		begun := time.Now()
		east.authorize(second)
		took := web.follow("web")
		require.Less(w, time.Since(begun), followedWithin, "from the new credential to a change that Envoy has")
		w.Logf("measured: %s after the new credential a change of then was in Envoy, %s after it", time.Since(begun).Round(time.Millisecond), took.Round(time.Millisecond))
		w.awaitUse(east, second)
		w.awaitState("east", fleet.Live)
		w.awaitNoProblem(fleet.CodeClusterRefused, "east")
		w.awaitNoProblem(credential.CodeCredentialExpired, "east")
	})
	guard.end(w)
	w.requireServed(load)
}

// kubeconfig is one for the way by which podway reaches a cluster, with a token that nobody must hear of.
func (w *world) kubeconfig(m *member, token string) []byte {
	return m.KubeconfigAt(m.url(), w.secret(token))
}

// awaitUse waits until the watches of podway are those of a token, and of no other one.
func (w *world) awaitUse(m *member, token string) {
	w.Helper()
	w.eventually("the token is in use", func() bool {
		watches := m.front.Requests(func(r kubetest.Request) bool { return r.Verb == "watch" && r.Token == token && r.Answered == 0 })
		return len(watches) >= 2
	})
	w.requireSaid("The changed credential or scope is in force", "cluster="+m.name)
}

// TestTokenIsRenewed has podway begin with a token most of whose life is over.
func TestTokenIsRenewed(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, fronted: true})
	east := w.members["east"]
	web := east.handmade(2)
	w.newTunnel("web", []string{"east"})
	account := east.Account(namespace, "podway", append(everything(), ownTokens())...)
	old := east.SignToken(account, time.Now().Add(10*time.Minute))
	east.authorize(old)
	w.start()
	w.run("by itself", func() {
		w.requireSaid("Token renewed", "cluster=east")
		token := w.tokenOf(east)
		w.eventually("the file has another token", func() bool { token = w.tokenOf(east); return token != old })
		now := w.awaitState("east", fleet.Live)
		require.WithinDuration(w, time.Now().Add(70*time.Minute), now.CredentialExpires, 2*time.Minute)
		require.Zero(w, now.Relists, "a renewed token needs no new watch")
		require.Equal(w, 1, east.front.Count("create", "serviceaccounts"))
		w.never("a renewed token is renewed again", 2500*time.Millisecond, func() bool { return east.front.Count("create", "serviceaccounts") > 1 })
		before := len(east.front.Requests(nil))
		east.cut()
		w.eventually("the new token is used", func() bool {
			return slices.ContainsFunc(east.front.Requests(nil)[before:], func(r kubetest.Request) bool { return r.Token == token })
		})
		require.False(w, slices.ContainsFunc(east.front.Requests(nil)[before:], func(r kubetest.Request) bool { return r.Token == old }))
		w.awaitState("east", fleet.Live)
		w.edge.await("web", web.pods...)
		require.Less(w, web.follow("web"), followedWithin)
	})
	w.run("not without the right to", func() {
		east.Deny(account, ownTokens())
		east.authorize(east.SignToken(account, time.Now().Add(9*time.Minute)))
		w.awaitProblem(fleet.CodeTokenNotRenewed, "east", "could not be renewed", "serviceaccounts")
		w.awaitState("east", fleet.Live)
		require.Less(w, web.follow("web"), followedWithin)
	})
}

// tokenOf is the token that is in a cluster's kubeconfig now.
func (w *world) tokenOf(m *member) string {
	content, err := os.ReadFile(m.kubeconfig())
	require.NoError(w, err)
	_, rest, found := strings.Cut(string(content), "token: ")
	require.True(w, found)
	token, _, _ := strings.Cut(rest, "\n")
	return w.secret(strings.TrimSpace(token))
}

// TestRolesInTwoNamespacesAreEnough lets podway read two namespaces and nothing else, not even which cluster it is.
func TestRolesInTwoNamespacesAreEnough(t *testing.T) {
	w := newWorld(t, memberConfig{
		name: "east", network: 71, fronted: true, unpinned: true, spec: []string{"allowedTunnels: [{from: [edge], to: [shop, blog]}]"},
	})
	east := w.members["east"]
	east.Create(kubetest.Namespace("blog"))
	web := east.handmade(2)
	w.newTunnel("web", []string{"east"})
	account := east.Account(namespace, "podway", kubetest.Reader(namespace, "blog")...)
	east.authorize(east.Token(account, time.Hour))
	w.start()
	w.awaitState("east", fleet.Live)
	w.edge.await("web", web.pods...)
	require.Less(t, web.follow("web"), followedWithin)
	for _, request := range east.front.Requests(kubetest.Is("watch", "")) {
		require.Contains(t, []string{namespace, "blog"}, request.Namespace)
	}

	east.Deny(account, kubetest.Reader("blog")...)
	east.awaitRight("podway", "list", "", "services", "blog", false)
	east.cut()
	w.awaitState("east", fleet.Refused, "not allowed to", "in namespace blog")
	w.edge.await("web", web.pods...)
	require.Less(t, web.follow("web"), followedWithin, "what is allowed still is followed")
	east.Allow(account, kubetest.Reader("blog")...)
	w.awaitState("east", fleet.Live)
}
