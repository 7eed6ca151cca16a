package access

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/watcher/credential"
)

func said(changes []Change) string {
	var lines []string
	for _, change := range changes {
		line := change.Done + " " + change.Object
		if change.Why != "" {
			line += ": " + change.Why
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestAuthorize(t *testing.T) {
	server := newFakeServer(t, "shop", "cart")
	got, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east", Namespaces: []string{"shop", "cart"}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `made Namespace podway-access
applied ServiceAccount podway-access/podway-east
applied ClusterRole podway-east-identity
applied ClusterRoleBinding podway-east-identity
applied Role podway-access/podway-east-renewal
applied RoleBinding podway-access/podway-east-renewal
applied Role cart/podway-east-reader
applied RoleBinding cart/podway-east-reader
applied Role shop/podway-east-reader
applied RoleBinding shop/podway-east-reader`
	if text := said(got.Changes); text != want {
		t.Errorf("changes:\n%s\nwant:\n%s", text, want)
	}
	account := types.NamespacedName{Namespace: "podway-access", Name: "podway-east"}
	if got.ClusterUID != clusterUID || got.ServiceAccount != account || got.Credential.ServiceAccount != account {
		t.Errorf("cluster %s, ServiceAccount %s", got.ClusterUID, got.ServiceAccount)
	}
	if got.Credential.Server != server.URL || string(got.Credential.CA) != string(server.ca()) || got.Credential.TokenLifetime() != DefaultTokenLifetime {
		t.Errorf("%v with a token for %s", got.Credential, got.Credential.TokenLifetime())
	}
	if _, capped := got.Capped(0); capped {
		t.Error("the lifetime is said to be capped")
	}
	text, err := got.Credential.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	if c, problems := credential.Parse(text, credential.Origin{Source: credential.FromSecret}); !c.Equal(got.Credential) {
		t.Errorf("the kubeconfig is not what podway takes: %v", problems)
	}
}

func TestAuthorizeAgainRemovesWhatIsNoLongerWanted(t *testing.T) {
	server := newFakeServer(t, "shop", "cart")
	for i, namespaces := range [][]string{{"cart", "shop"}, {"shop"}, nil, {"cart"}} {
		got, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east", Namespaces: namespaces})
		if err != nil {
			t.Fatal(err)
		}
		removed := said(slices.DeleteFunc(got.Changes, func(c Change) bool { return c.Done != "removed" }))
		want := []string{
			"",
			"removed RoleBinding cart/podway-east-reader\nremoved Role cart/podway-east-reader",
			"removed RoleBinding shop/podway-east-reader\nremoved Role shop/podway-east-reader",
			"removed ClusterRoleBinding podway-east-reader\nremoved ClusterRole podway-east-reader",
		}[i]
		if removed != want {
			t.Errorf("%v:\n%s\nwant:\n%s", namespaces, removed, want)
		}
	}
}

func TestTokenLifetimeIsWhatTheServerGives(t *testing.T) {
	server := newFakeServer(t)
	server.maxLifetime = time.Hour
	got, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east", TokenLifetime: 48 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if asked := *server.asked[0].Spec.ExpirationSeconds; asked != 48*3600 {
		t.Errorf("%d s were asked for", asked)
	}
	if lifetime, capped := got.Capped(48 * time.Hour); !capped || lifetime != time.Hour {
		t.Errorf("capped: %v, to %s", capped, lifetime)
	}
}

func TestAuthorizeForAnotherAddress(t *testing.T) {
	server := newFakeServer(t)
	got, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east", Server: "https://east.internal:6443"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Credential.Server != "https://east.internal:6443" {
		t.Errorf("podway is to connect to %s", got.Credential.Server)
	}
}

func TestAuthorizeThatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		code    int
		reason  metav1.StatusReason
		message string
		words   []string
		want    string
	}{
		"Unauthorized": {
			Options{Cluster: "east"},
			http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized",
			[]string{"GET"},
			"reading the UID of the namespace kube-system: Unauthorized: the API server does not know whose kubeconfig this is; log in again, or use another one",
		},
		"Forbidden": {
			Options{Cluster: "east"},
			http.StatusForbidden, metav1.StatusReasonForbidden, "nobody cannot patch clusterroles",
			[]string{"PATCH", "clusterroles/"},
			"applying ClusterRole podway-east-identity: nobody cannot patch clusterroles; use the kubeconfig of somebody who may do so, such as a cluster-admin",
		},
		"Conflict": {
			Options{Cluster: "east"},
			http.StatusConflict, metav1.StatusReasonConflict, `Apply failed with 1 conflict: conflict with "kubectl": .rules`,
			[]string{"PATCH", "/clusterroles/", "force=false"},
			`applying ClusterRole podway-east-identity: Apply failed with 1 conflict: conflict with "kubectl": .rules; somebody else has set these fields: look at what they meant, then use --force to take them over`,
		},
		"NoSuchNamespaces": {
			Options{Cluster: "east", Namespaces: []string{"b", "a"}},
			0, "", "", nil,
			"the cluster has no namespace a, nor b; create it, or leave it out",
		},
		"Token": {
			Options{Cluster: "east"},
			http.StatusForbidden, metav1.StatusReasonForbidden, "no tokens here",
			[]string{"/token"},
			"making a token of ServiceAccount podway-access/podway-east: no tokens here; use the kubeconfig of somebody who may do so, such as a cluster-admin",
		},
		"OtherCluster": {
			Options{Cluster: "east", ClusterUID: "other"},
			0, "", "", nil,
			"this is another cluster: it has the UID 4f1c1d8e-6a55-4d0a-9c53-1f2f0f0f3a10, but east is pinned to other; use the kubeconfig of the right cluster",
		},
		"NotHTTPS": {
			Options{Cluster: "east", Server: "http://192.0.2.1"},
			0, "", "", nil,
			"podway could not use the kubeconfig that this would make: the kubeconfig's server is not https, which only a loopback address may do without; set the server to https://HOST:PORT",
		},
		"APageOfAProxy": {
			Options{Cluster: "east"},
			http.StatusBadGateway, "", "\x1b[2J" + strings.Repeat("<p>", 1000),
			[]string{"GET"},
			"reading the UID of the namespace kube-system: [2J" + strings.Repeat("<p>", 198) + "<p...",
		},
	} {
		server := newFakeServer(t)
		if test.code != 0 {
			server.refuseIf(test.code, test.reason, test.message, test.words...)
		}
		if _, err := Authorize(t.Context(), server.admin(), test.options); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v\nwant: %s", name, err, test.want)
		}
	}
}

func TestNothingIsMadeForAnAdministratorWhoSkipsTLSVerification(t *testing.T) {
	server := newFakeServer(t)
	admin := server.admin()
	admin.CAData, admin.Insecure = nil, true
	const want = "the kubeconfig skips TLS verification, and so would podway; put the cluster's CA into its certificate-authority-data"
	if _, err := Authorize(t.Context(), admin, Options{Cluster: "east"}); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if len(server.requests) > 0 {
		t.Errorf("requests: %q", server.requests)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	other := newFakeServer(t)
	server := newFakeServer(t)
	server.Config.Handler = http.RedirectHandler(other.URL, http.StatusTemporaryRedirect)
	if _, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east"}); err == nil || len(other.requests) > 0 {
		t.Errorf("%v, and another server has seen %q", err, other.requests)
	}
}

func TestRevokeRemovesAllThatAuthorizeMade(t *testing.T) {
	server := newFakeServer(t, "shop")
	before := len(server.objects)
	if _, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east", Namespaces: []string{"shop"}}); err != nil {
		t.Fatal(err)
	}
	const want = `removed ServiceAccount podway-access/podway-east
removed ClusterRoleBinding podway-east-identity
removed RoleBinding podway-access/podway-east-renewal
removed RoleBinding shop/podway-east-reader
removed ClusterRole podway-east-identity
removed Role podway-access/podway-east-renewal
removed Role shop/podway-east-reader
removed Namespace podway-access`
	for i, dryRun := range []bool{true, false, false, true} {
		changes, err := Revoke(t.Context(), server.admin(), Options{Cluster: "east"}, dryRun)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{want, want, "", ""}[i]
		if text := said(changes); text != want {
			t.Errorf("the %d. time:\n%s\nwant:\n%s", i+1, text, want)
		}
	}
	if len(server.objects) != before {
		t.Errorf("what is left: %v", server.objects)
	}
}

func TestRevokeTouchesNoOtherCluster(t *testing.T) {
	server := newFakeServer(t)
	if _, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east"}); err != nil {
		t.Fatal(err)
	}
	for _, dryRun := range []bool{true, false} {
		changes, err := Revoke(t.Context(), server.admin(), Options{Cluster: "east", ClusterUID: "other"}, dryRun)
		want := "this is another cluster: it has the UID " + clusterUID + ", but east is pinned to other; use the kubeconfig of the right cluster"
		if err == nil || err.Error() != want {
			t.Errorf("%v\nwant: %s", err, want)
		}
		if len(changes) != 0 {
			t.Errorf("changes: %s", said(changes))
		}
	}
	if changes, err := Revoke(t.Context(), server.admin(), Options{Cluster: "east", ClusterUID: clusterUID}, false); err != nil || len(changes) == 0 {
		t.Errorf("%v: %s", err, said(changes))
	}
}

func TestRevokeLeavesWhatIsNotItsOwn(t *testing.T) {
	server := newFakeServer(t)
	for _, options := range []Options{{Cluster: "east"}, {Cluster: "east", ServiceAccount: "other"}, {Cluster: "west"}} {
		if _, err := Authorize(t.Context(), server.admin(), options); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		options Options
		last    string
	}{
		{Options{Cluster: "east"}, "kept Namespace podway-access: ServiceAccount podway-access/other is in it"},
		{Options{Cluster: "east", ServiceAccount: "other"}, "kept Namespace podway-access: ServiceAccount podway-access/podway-west is in it"},
		{Options{Cluster: "west"}, "removed Namespace podway-access"},
	} {
		changes, err := Revoke(t.Context(), server.admin(), test.options, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) != 8 || said(changes[7:]) != test.last {
			t.Errorf("%v:\n%s\nwant, at last:\n%s", test.options, said(changes), test.last)
		}
	}
}

func TestRevokeLeavesANamespaceOfSomebodyElse(t *testing.T) {
	server := newFakeServer(t)
	if _, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east", Namespace: "default"}); err != nil {
		t.Fatal(err)
	}
	changes, err := Revoke(t.Context(), server.admin(), Options{Cluster: "east", Namespace: "default"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(said(changes), " Namespace ") || server.objects["/api/v1/namespaces/default"] == nil {
		t.Errorf("the namespace is touched:\n%s", said(changes))
	}
}

func TestRevokeThatIsRefused(t *testing.T) {
	server := newFakeServer(t)
	if _, err := Authorize(t.Context(), server.admin(), Options{Cluster: "east"}); err != nil {
		t.Fatal(err)
	}
	server.refuseIf(http.StatusForbidden, metav1.StatusReasonForbidden, "no", "DELETE", "/clusterroles/")
	const want = "removing ClusterRole podway-east-identity: no; use the kubeconfig of somebody who may do so, such as a cluster-admin"
	changes, err := Revoke(t.Context(), server.admin(), Options{Cluster: "east"}, false)
	if err == nil || err.Error() != want || len(changes) != 4 {
		t.Errorf("%v after:\n%s\nwant: %s", err, said(changes), want)
	}
}

func TestRenew(t *testing.T) {
	server := newFakeServer(t)
	old := server.credential(3 * time.Hour)
	renewed, err := Renew(t.Context(), nil, old)
	if err != nil {
		t.Fatal(err)
	}
	asked := server.asked[0].Spec
	if *asked.ExpirationSeconds != 3*3600 || !slices.Equal(asked.Audiences, []string{"api"}) {
		t.Errorf("asked for %d s and %q", *asked.ExpirationSeconds, asked.Audiences)
	}
	if renewed.Fingerprint() != old.Fingerprint() || renewed.ServiceAccount != old.ServiceAccount || renewed.TokenLifetime() != old.TokenLifetime() {
		t.Errorf("%v was renewed as %v", old, renewed)
	}
}

func TestRenewThatCannotBe(t *testing.T) {
	server := newFakeServer(t)
	const none = "it has no token of a ServiceAccount"
	if _, err := Renew(t.Context(), nil, server.credential(time.Hour).WithToken("opaque")); err == nil || err.Error() != "renewing the credential for "+server.URL+": "+none {
		t.Errorf("%v, want %s", err, none)
	}
	server.refuseIf(http.StatusForbidden, metav1.StatusReasonForbidden, "not yours", "/token")
	const want = "renewing the token of ServiceAccount podway-access/podway-east: not yours"
	if _, err := Renew(t.Context(), nil, server.credential(time.Hour)); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
