package access

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher/credential"
)

// report is what a check says, without what differs each time.
func report(t *testing.T, server *fakeServer, subject Subject) string {
	t.Helper()
	text := Check(t.Context(), subject).String()
	text = strings.ReplaceAll(text, server.URL, "URL")
	text = regexp.MustCompile(`in \d+(\.\d+)?m?s\b`).ReplaceAllString(text, "in TIME")
	return regexp.MustCompile(`at \d{4}-[^\s]*Z`).ReplaceAllString(text, "at DATE")
}

func subject(server *fakeServer) Subject {
	return Subject{
		Cluster: "east", Credential: server.credential(30 * 24 * time.Hour), ClusterUID: clusterUID,
		Scope: &snapshot.Scope{Namespaces: []string{"cart", "shop"}}, Pods: &snapshot.Scope{Namespaces: []string{"shop"}},
	}
}

func TestCheckOfWhatIsWell(t *testing.T) {
	server := newFakeServer(t)
	const want = `kubeconfig: ok: URL, as ServiceAccount podway-access/podway-east
expiry: ok: in 30 days, at DATE
server: ok: Kubernetes v1.37.2, answers in TIME
TLS: ok: verified by the kubeconfig's CA
cluster UID: ok: 4f1c1d8e-6a55-4d0a-9c53-1f2f0f0f3a10, as pinned
list and watch services in namespace cart: ok
list and watch endpointslices.discovery.k8s.io in namespace cart: ok
list and watch pods in namespace cart: ok
list and watch services in namespace shop: ok
list and watch endpointslices.discovery.k8s.io in namespace shop: ok
list and watch pods in namespace shop: ok
streaming lists: ok: the API server has them
renewal: ok: podway can renew the token of podway-access/podway-east`
	if got := report(t, server, subject(server)); got != want {
		t.Errorf("the report is:\n%s\nwant:\n%s", got, want)
	}
	if Check(t.Context(), subject(server)).Failed() {
		t.Error("it has failed")
	}
}

func TestCheckOfAWholeCluster(t *testing.T) {
	server := newFakeServer(t)
	server.streams = false
	s := subject(server)
	s.Scope, s.Pods, s.ClusterUID = snapshot.Everything, nil, ""
	const want = `cluster UID: ok: 4f1c1d8e-6a55-4d0a-9c53-1f2f0f0f3a10, which spec.clusterUID does not pin
list and watch services in all namespaces: ok
list and watch endpointslices.discovery.k8s.io in all namespaces: ok
list and watch pods in all namespaces: ok
streaming lists: ok: the API server has none: podway lists page by page
`
	if got := report(t, server, s); !strings.Contains(got, want) {
		t.Errorf("the report is:\n%s\nwant, in it:\n%s", got, want)
	}
}

// Each failure names the verb, the resource, the namespace and what to do.
func TestCheckOfWhatIsNot(t *testing.T) {
	const grant = "grant it: podway clusters authorize east --kubeconfig ADMIN --namespaces cart,shop"
	const role = grant + ", or a Role with the verbs get, list and watch"
	forbidden := func(words ...string) func(*fakeServer, *Subject) {
		return func(server *fakeServer, _ *Subject) {
			server.refuseIf(http.StatusForbidden, metav1.StatusReasonForbidden, "User cannot do it", words...)
		}
	}
	for name, test := range map[string]struct {
		change func(*fakeServer, *Subject)
		want   string
		failed bool
	}{
		"List": {
			forbidden("GET", "/shop/services", "limit=1"),
			"list and watch services in namespace shop: failed: cannot list services in namespace shop (forbidden); " + role, true,
		},
		"Watch": {
			forbidden("GET", "/cart/endpointslices", "watch=true"),
			"list and watch endpointslices.discovery.k8s.io in namespace cart: failed: cannot watch endpointslices.discovery.k8s.io in namespace cart (forbidden); " + role, true,
		},
		"PodsThatAreSelected": {
			forbidden("GET", "/shop/pods"),
			"list and watch pods in namespace shop: failed: cannot list pods in namespace shop (forbidden); " + role, true,
		},
		"PodsThatNobodySelects": {
			forbidden("GET", "/cart/pods"),
			"list and watch pods in namespace cart: warning: cannot list pods in namespace cart (forbidden); no tunnel needs it yet, but one with a podSelector would; " + role, false,
		},
		"NoEndpointSlices": {
			func(server *fakeServer, _ *Subject) {
				server.refuseIf(http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource", "/cart/endpointslices")
			},
			"list and watch endpointslices.discovery.k8s.io in namespace cart: failed: cannot list endpointslices.discovery.k8s.io in namespace cart (the server could not find the requested resource); podway needs an API server of Kubernetes 1.21 or later", true,
		},
		"Broken": {
			func(server *fakeServer, _ *Subject) {
				server.refuseIf(http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcd is away", "/cart/services")
			},
			"list and watch services in namespace cart: failed: cannot list services in namespace cart (etcd is away); see what the API server says of it", true,
		},
		"UnreadableUID": {
			forbidden("/kube-system"),
			"cluster UID: failed: cannot get namespace kube-system (forbidden), so that nothing shows that this is the cluster with the UID 4f1c1d8e-6a55-4d0a-9c53-1f2f0f0f3a10; " + grant, true,
		},
		"UnreadableUIDThatIsNotPinned": {
			func(server *fakeServer, s *Subject) {
				forbidden("/kube-system")(server, s)
				s.ClusterUID = ""
			},
			"cluster UID: warning: cannot get namespace kube-system (forbidden): podway could not tell if this became another cluster; podway clusters authorize east --kubeconfig ADMIN --namespaces cart,shop makes a ClusterRole for it, and pins it", false,
		},
		"OtherUID": {
			func(_ *fakeServer, s *Subject) { s.ClusterUID = "other" },
			"cluster UID: failed: this is another cluster: it has the UID 4f1c1d8e-6a55-4d0a-9c53-1f2f0f0f3a10, but spec.clusterUID is other; use the kubeconfig of the right cluster; if this is it, made anew, correct spec.clusterUID", true,
		},
		"Renewal": {
			forbidden("/token"),
			"renewal: warning: cannot create serviceaccounts/token of podway-access/podway-east (forbidden): somebody has to replace it before it expires; " + grant, false,
		},
		"EmptyScope": {
			func(_ *fakeServer, s *Subject) { s.Scope = nil },
			"scope: warning: spec.allowedTunnels lets no tunnel use any namespace, so that podway reads nothing; say in spec.allowedTunnels which tunnels may use which namespaces", false,
		},
		"NoVersion": {forbidden("/version"), "server: ok: it answers in TIME, and does not tell its version", false},
		"OpaqueToken": {
			func(_ *fakeServer, s *Subject) { s.Credential = s.Credential.WithToken("opaque") },
			"expiry: warning: the token does not say that it ever expires: whoever gets hold of it can go on using it; make one that podway renews: podway clusters authorize east --kubeconfig ADMIN --namespaces cart,shop", false,
		},
	} {
		server := newFakeServer(t)
		s := subject(server)
		test.change(server, &s)
		got := report(t, server, s)
		if !strings.Contains("\n"+got+"\n", "\n"+test.want+"\n") {
			t.Errorf("%s: the report is:\n%s\nwant, in it:\n%s", name, got, test.want)
		}
		if failed := strings.Contains(got, ": failed"); failed != test.failed || Check(t.Context(), s).Failed() != failed {
			t.Errorf("%s: failed is %v, want %v:\n%s", name, failed, test.failed, got)
		}
	}
}

// Where the server cannot be used at all, that is said once.
func TestCheckEndsWhereNothingElseCanBeTried(t *testing.T) {
	const made = "podway clusters authorize east --kubeconfig ADMIN --namespaces cart,shop"
	for name, test := range map[string]struct {
		change func(*fakeServer, *Subject)
		want   string
	}{
		"Revoked": {
			func(server *fakeServer, _ *Subject) {
				server.refuseIf(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized", "")
			},
			"TLS: ok: verified by the kubeconfig's CA\nserver: failed: it does not accept the credential (401 Unauthorized): it was revoked, has expired by the server's clock, or is another cluster's; make a new one: " + made,
		},
		"OtherCA": {
			func(_ *fakeServer, s *Subject) { s.Credential.CA = nil },
			"TLS: failed: the server's certificate is not of an authority that the kubeconfig names: x509: certificate signed by unknown authority; put the cluster's CA into certificate-authority-data, and see that nobody is on the way",
		},
		"OtherName": {
			func(_ *fakeServer, s *Subject) { s.Credential.TLSServerName = "east.internal" },
			"TLS: failed: the server's certificate is for another name: x509: certificate is valid for example.com, *.example.com, not east.internal; use the name that the certificate has, as server or as tls-server-name",
		},
		"Away": {
			func(server *fakeServer, _ *Subject) { server.Close() },
			"server: failed: dial tcp ADDRESS: connect: connection refused; see that this machine reaches URL, and that the API server is up",
		},
	} {
		server := newFakeServer(t)
		s := subject(server)
		test.change(server, &s)
		got := strings.ReplaceAll(report(t, server, s), strings.TrimPrefix(server.URL, "https://"), "ADDRESS")
		want := "kubeconfig: ok: URL, as ServiceAccount podway-access/podway-east\nexpiry: ok: in 30 days, at DATE\n" + test.want
		if got != want {
			t.Errorf("%s: the report is:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

func TestCheckOfAKubeconfigThatIsRefused(t *testing.T) {
	_, problems := credential.Parse(nil, credential.Origin{Cluster: "east"})
	got := Check(t.Context(), Subject{Cluster: "east", Problems: problems})
	const want = "kubeconfig: failed: the kubeconfig has no current-context; name one of the contexts: kubectl config use-context"
	if got.String() != want || !got.Failed() {
		t.Errorf("the report is:\n%s\nwant:\n%s", got, want)
	}
	warned := Check(t.Context(), Subject{Cluster: "east", Problems: []api.Problem{{Severity: api.Warning, Message: "m", Remedy: "r"}}})
	if warned.String() != "kubeconfig: warning: m; r" || warned.Failed() {
		t.Errorf("the report is:\n%s", warned)
	}
}
