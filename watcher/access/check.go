package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher/credential"
)

// Subject is what is checked.
type Subject struct {
	// Cluster is the name of the MemberCluster.
	Cluster string
	// Credential may be nil, where the problems say why.
	Credential *credential.Credential
	// Problems are those of reading the credential.
	Problems []api.Problem
	// Config is what to connect with; nil is the credential's own RESTConfig.
	Config *rest.Config
	// Scope is what podway is to read.
	Scope *snapshot.Scope
	// Pods is the part of it where tunnels select Pods by label. Elsewhere it is no failure if Pods cannot be read.
	Pods *snapshot.Scope
	// ClusterUID is the UID that the cluster must have; empty where it is not pinned.
	ClusterUID string
}

// Check tries all that podway does with a member cluster, and says what works and what is missing. It changes nothing; of the token
// that it makes to see whether it may, nothing is kept.
func Check(ctx context.Context, s Subject) Report {
	var report Report
	s.kubeconfig(&report)
	if s.Credential == nil {
		return report
	}
	config := s.Config
	if config == nil {
		config = s.Credential.RESTConfig()
	}
	c, err := newClient(config)
	if err != nil {
		report.add(StatusFailed, "server", "correct the kubeconfig", "%v", err)
		return report
	}
	defer c.close()
	k := &checker{client: c, Subject: s}
	if k.server(ctx, &report) {
		k.identity(ctx, &report)
		k.permissions(ctx, &report)
		k.renewal(ctx, &report)
	}
	return report
}

// kubeconfig reports what was found by reading it alone.
func (s *Subject) kubeconfig(report *Report) {
	for _, problem := range s.Problems {
		status := StatusFailed
		if problem.Severity == api.Warning {
			status = StatusWarning
		}
		report.add(status, "kubeconfig", problem.Remedy, "%s", problem.Message)
	}
	c := s.Credential
	if c == nil {
		return
	}
	who := "a token"
	switch {
	case c.ServiceAccount.Name != "":
		who = "ServiceAccount " + c.ServiceAccount.String()
	case c.Token == "" && len(c.ClientCertificate) > 0:
		who = "a client certificate"
	case c.Token == "":
		who = "nobody"
	}
	report.add(StatusOK, "kubeconfig", "", "%s, as %s", c.Server, who)
	s.expiry(report, time.Now())
}

func (s *Subject) expiry(report *Report, now time.Time) {
	const soon = 7 * 24 * time.Hour
	c, remedy := s.Credential, "make one that podway renews: "+s.authorize()
	switch left := c.Expires.Sub(now); {
	case c.Expires.IsZero() && c.Token != "":
		report.add(StatusWarning, "expiry", remedy, "the token does not say that it ever expires: whoever gets hold of it can go on using it")
	case c.Expires.IsZero():
		report.add(StatusOK, "expiry", "", "never")
	case c.ServiceAccount.Name == "" && left < soon:
		report.add(StatusWarning, "expiry", remedy, "it expires in %s, and podway cannot renew it", Spell(left))
	default:
		report.add(StatusOK, "expiry", "", "in %s, at %s", Spell(left), c.Expires.UTC().Format(time.RFC3339))
	}
}

// authorize is the command that makes all that is missing.
func (s *Subject) authorize() string {
	command := "podway clusters authorize " + s.Cluster + " --kubeconfig ADMIN"
	if s.Scope != nil && !s.Scope.All && len(s.Scope.Namespaces) > 0 {
		command += " --namespaces " + strings.Join(s.Scope.Namespaces, ",")
	}
	return command
}

// checker is a Subject with a connection.
type checker struct {
	Subject
	client *client
}

// server sees whether the API server answers, is who it should be, and takes the credential. Without that, nothing else can be tried.
func (k *checker) server(ctx context.Context, report *Report) bool {
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	begin := time.Now()
	err := k.client.do(ctx, request{method: http.MethodGet, path: "/version"}, &version)
	took := time.Since(begin)
	if reason, remedy := tlsFault(err); reason != "" {
		report.add(StatusFailed, "TLS", remedy, "%s", reason)
		return false
	}
	switch {
	case apierrors.IsUnauthorized(err):
		k.tls(report)
		report.add(StatusFailed, "server", "make a new one: "+k.authorize(), "it does not accept the credential (401 Unauthorized): it was revoked, has expired by the server's clock, or is another cluster's")
		return false
	case apierrors.IsForbidden(err): // Some servers do not tell everybody their version.
		report.add(StatusOK, "server", "", "it answers in %s, and does not tell its version", Spell(took))
	case err != nil:
		report.add(StatusFailed, "server", "see that this machine reaches "+k.Credential.Server+", and that the API server is up", "%s", printable(err.Error()))
		return false
	default:
		report.add(StatusOK, "server", "", "Kubernetes %s, answers in %s", printable(version.GitVersion), Spell(took))
	}
	k.tls(report)
	return true
}

// tls reports how the server's certificate was verified, where it was.
func (k *checker) tls(report *Report) {
	switch {
	case strings.HasPrefix(k.Credential.Server, "http:"):
		report.add(StatusWarning, "TLS", "use https", "none: the server is on this machine's loopback")
	case k.Credential.Insecure:
		report.add(StatusWarning, "TLS", "put the cluster's CA into certificate-authority-data and remove insecure-skip-tls-verify", "the server's certificate is not verified")
	case len(k.Credential.CA) > 0:
		report.add(StatusOK, "TLS", "", "verified by the kubeconfig's CA")
	default:
		report.add(StatusOK, "TLS", "", "verified by this machine's CAs")
	}
}

// tlsFault says what is wrong with the server's certificate, or "".
func tlsFault(err error) (reason, remedy string) {
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return "the server's certificate is not of an authority that the kubeconfig names: " + authority.Error(),
			"put the cluster's CA into certificate-authority-data, and see that nobody is on the way"
	case errors.As(err, &hostname):
		return "the server's certificate is for another name: " + hostname.Error(), "use the name that the certificate has, as server or as tls-server-name"
	case errors.As(err, &invalid):
		return "the server's certificate cannot be: " + invalid.Error(), "renew the API server's certificate, or correct the clock"
	case errors.As(err, &record):
		return "the server does not speak TLS", "correct the port of the kubeconfig's server"
	}
	return "", ""
}

// identity sees which cluster this is.
func (k *checker) identity(ctx context.Context, report *Report) {
	const what = "cluster UID"
	uid, err := k.client.uid(ctx)
	switch {
	case err != nil && k.ClusterUID == "":
		report.add(StatusWarning, what, k.authorize()+" makes a ClusterRole for it, and pins it", "cannot get namespace %s (%s): podway could not tell if this became another cluster", uidNamespace, refusal(err))
	case err != nil:
		report.add(StatusFailed, what, "grant it: "+k.authorize(), "cannot get namespace %s (%s), so that nothing shows that this is the cluster with the UID %s", uidNamespace, refusal(err), k.ClusterUID)
	case k.ClusterUID == "":
		report.add(StatusOK, what, "", "%s, which spec.clusterUID does not pin", printable(uid))
	case uid != k.ClusterUID:
		report.add(StatusFailed, what, "use the kubeconfig of the right cluster; if this is it, made anew, correct spec.clusterUID", "this is another cluster: it has the UID %s, but spec.clusterUID is %s", printable(uid), k.ClusterUID)
	default:
		report.add(StatusOK, what, "", "%s, as pinned", uid)
	}
}

// renewal sees whether podway can make itself new tokens, by making one.
func (k *checker) renewal(ctx context.Context, report *Report) {
	const what = "renewal"
	account := k.Credential.ServiceAccount
	if account.Name == "" {
		if !k.Credential.Expires.IsZero() {
			report.add(StatusWarning, what, "make one that podway renews: "+k.authorize(), "it is no token of a ServiceAccount: somebody has to replace it before it expires")
		}
		return
	}
	if _, err := k.client.token(ctx, account, MinTokenLifetime, k.Credential.Audiences); err != nil {
		report.add(StatusWarning, what, "grant it: "+k.authorize(), "cannot create serviceaccounts/token of %s (%s): somebody has to replace it before it expires", account, refusal(err))
		return
	}
	report.add(StatusOK, what, "", "podway can renew the token of %s", account)
}

// refusal is an error in a few words.
func refusal(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "forbidden"
	case apierrors.IsUnauthorized(err):
		return "unauthorized"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", requestTimeout)
	}
	return printable(err.Error())
}
