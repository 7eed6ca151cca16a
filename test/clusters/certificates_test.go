//go:build clusters

package clusters

import (
	"slices"
	"testing"
	"time"

	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/fleet"
)

// day is more than a test takes.
const day = 24 * time.Hour

// TestCertificatesChange goes over to another CA, and has certificates of the API server and of podway expire, while requests flow.
func TestCertificatesChange(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, proxied: true}, memberConfig{name: "west", network: 72})
	east, west := w.members["east"], w.members["west"]
	webs := []*handmade{east.handmade(4), west.handmade(3)}
	all := slices.Concat(webs[0].pods, webs[1].pods)
	w.newTunnel("web", []string{"east", "west"}, "retry: {attempts: 0}")
	w.start("--state", w.state)
	w.awaitState("east", fleet.Live)
	w.awaitState("west", fleet.Live)
	w.edge.await("web", all...)
	guard, load := w.guard("web", all...), w.load("web", 50)
	follow := func() { w.Logf("measured: followed in %s", webs[0].follow("web", webs[1].pods...)) }
	// The API server takes up another certificate by itself: podway connects anew until it is shown.
	reconnect := func(what string, shown func(told) bool) {
		cut := time.Time{}
		w.eventually(what, func() bool {
			if time.Since(cut) > 2*time.Second {
				east.cut()
				cut = time.Now()
			}
			now, err := w.plane.cluster("east")
			return err == nil && shown(now)
		})
	}
	w.run("the CA is rotated", func() {
		east.RotateAuthority()
		east.authorize(east.TokenOf(viewer)) // it trusts both
		follow()
		east.ShowCertificate(day)
		follow()
		east.ForgetAuthorities()
		// A credential is tried before it takes over: the API server must show the new certificate by now.
		east.authorize(east.TokenOf(viewer))
		w.eventually("the new CA alone is in force", func() bool {
			now, err := w.plane.cluster("east")
			return err == nil && now.Candidate == ""
		})
		east.cut()
		follow()
		w.awaitState("east", fleet.Live)
	})
	w.run("the certificate of the API server expires", func() {
		east.ShowCertificate(5 * time.Second)
		reconnect("the certificate has expired", func(now told) bool {
			return now.State == fleet.Stale && containsAll(now.Reason, []string{"certificate has expired"})
		})
		w.awaitProblem(fleet.CodeClusterStale, "east", "certificate has expired", "its 4 Pods that were last known stay in force")
		w.requests(load, 50)
		east.ShowCertificate(day)
		w.awaitState("east", fleet.Live)
		follow()
	})
	w.run("podway's own certificate expires", func() {
		east.writeKubeconfig(east.KubeconfigByCertificate(east.url(), viewer, 8*time.Second))
		w.eventually("it is in force", func() bool {
			now, err := w.plane.cluster("east")
			return err == nil && !now.CredentialExpires.IsZero()
		})
		follow()
		w.awaitProblem(credential.CodeCredentialExpired, "east", "the kubeconfig's client certificate has expired")
		follow() // what is open goes on
		east.cut()
		w.awaitState("east", fleet.Refused, "the server does not accept the credential (401 Unauthorized)")
		w.awaitProblem(fleet.CodeClusterRefused, "east", "stay in force")
		w.requests(load, 50)
		east.writeKubeconfig(east.KubeconfigByCertificate(east.url(), viewer, day))
		w.awaitState("east", fleet.Live)
		follow()
		w.awaitNoProblem(credential.CodeCredentialExpired, "east")
	})
	guard.end(w)
	w.requireServed(load)
}
