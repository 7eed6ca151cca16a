package kubetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	admin = "admin"
	// callLimit is how long a call of the harness itself may take.
	callLimit = time.Minute
)

// access is how to reach an API server as its administrator.
type access struct {
	authority *authority
	config    *rest.Config
	http      *http.Client
	client    *kubernetes.Clientset

	mu   sync.Mutex
	rest map[schema.GroupVersion]*rest.RESTClient
}

// URL is where the API server is, always the same: https://127.0.0.1:PORT.
func (c *Cluster) URL() string { return "https://" + c.Address() }

// Address is where the API server listens, always the same: 127.0.0.1:PORT. While it does not run, connections are refused.
func (c *Cluster) Address() string { return c.serverPort.address() }

// CA is the certificate of the authority that signed what the API server shows now, PEM.
func (c *Cluster) CA() []byte { return slices.Clone(c.reached().authority.pem) }

// AdminToken is the token of a user who may do all.
func (c *Cluster) AdminToken() string { return c.tokens[admin] }

// TokenOf is the token of one of Options.Users. It stays valid when the cluster is replaced.
func (c *Cluster) TokenOf(user string) string {
	c.t.Helper()
	token, ok := c.tokens[user]
	if !ok {
		c.t.Fatalf("%s: no user %q: name it in Options.Users", c.Name, user)
	}
	return token
}

// Config is the administrator's, without a limit on requests. It is a copy.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.reached().config) }

// Client is the administrator's. A Restart with OtherCA makes it useless: ask for it anew.
func (c *Cluster) Client() kubernetes.Interface { return c.reached().client }

// Kubeconfig is one for this cluster as it is now, and a token.
func (c *Cluster) Kubeconfig(token string) []byte {
	c.t.Helper()
	return c.KubeconfigAt(c.URL(), token)
}

// KubeconfigAt is Kubeconfig with another server, such as a Proxy's URL.
func (c *Cluster) KubeconfigAt(server, token string) []byte {
	c.t.Helper()
	content, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"it": {Server: server, CertificateAuthorityData: c.CA()}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"who": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"now": {Cluster: "it", AuthInfo: "who"}},
		CurrentContext: "now",
	})
	if err != nil {
		c.t.Fatalf("%s: writing a kubeconfig: %v", c.Name, err)
	}
	return content
}

// ClusterUID is the UID of the namespace kube-system, which tells one cluster from another. Replace changes it.
func (c *Cluster) ClusterUID() types.UID {
	c.t.Helper()
	ctx, cancel := c.limited()
	defer cancel()
	system, err := c.readNamespace(ctx, "kube-system")
	if err != nil {
		c.t.Fatalf("%s: reading the namespace kube-system: %v", c.Name, err)
	}
	return system.UID
}

func (c *Cluster) readNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	return c.Client().CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
}

// limited is a context for one call, which may come from a Cleanup too.
func (c *Cluster) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.t.Context()), callLimit)
}

func (c *Cluster) reached() *access {
	c.reach.Lock()
	defer c.reach.Unlock()
	return c.access
}

// trust makes the administrator's client anew, for what that authority has signed.
func (c *Cluster) trust(ca *authority) error {
	config := &rest.Config{
		Host: c.URL(), BearerToken: c.AdminToken(), TLSClientConfig: rest.TLSClientConfig{CAData: ca.pem}, QPS: -1, UserAgent: "podway-test",
	}
	a := &access{authority: ca, config: config, rest: map[schema.GroupVersion]*rest.RESTClient{}}
	var err error
	if a.http, err = rest.HTTPClientFor(config); err != nil {
		return fmt.Errorf("%s: making a client: %w", c.Name, err)
	}
	if a.client, err = kubernetes.NewForConfigAndClient(config, a.http); err != nil {
		return fmt.Errorf("%s: making a client: %w", c.Name, err)
	}
	c.reach.Lock()
	former := c.access
	c.access = a
	c.reach.Unlock()
	if former != nil {
		former.close()
	}
	return nil
}

func (a *access) close() { utilnet.CloseIdleConnectionsFor(a.http.Transport) }

// writeTokens makes the tokens of the administrator and the users.
func (c *Cluster) writeTokens() error {
	c.tokens = map[string]string{admin: rand.Text()}
	lines := []string{c.tokens[admin] + ",admin,admin,system:masters"}
	for _, user := range c.Users {
		if c.tokens[user] != "" {
			return fmt.Errorf("%s: the user %q is there already: give each another name", c.Name, user)
		}
		c.tokens[user] = rand.Text()
		lines = append(lines, c.tokens[user]+","+user+","+user)
	}
	return c.write("tokens.csv", []byte(strings.Join(lines, "\n")+"\n"))
}

// writeServing gives the API server that is started next a certificate of that authority.
func (c *Cluster) writeServing(ca *authority) error {
	pair, err := ca.serving(c.Name)
	if err != nil {
		return err
	}
	if err := c.write("server.crt", pair.certificate); err != nil {
		return err
	}
	return c.write("server.key", pair.key)
}
