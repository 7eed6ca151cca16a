package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/api"
	"github.com/podway/podway/watcher/credential"
)

// Change is something that was done in a member cluster, or left.
type Change struct {
	// Done is made, applied, removed or kept.
	Done string `json:"done"`
	// Object is its kind and name, such as Role shop/podway-east-reader.
	Object string `json:"object"`
	// Why it was kept.
	Why string `json:"why,omitempty"`
}

// Access is what Authorize has made.
type Access struct {
	// Changes are in the order in which they were made.
	Changes []Change
	// ServiceAccount is what podway is in the cluster.
	ServiceAccount types.NamespacedName
	// ClusterUID is the UID of the cluster's kube-system namespace.
	ClusterUID string
	// Credential holds a new token of the ServiceAccount.
	Credential *credential.Credential
}

// Authorize makes the access that is wanted in a member cluster, whose administrator's configuration it is given, and a token. It
// can be done again, with other namespaces too: what is no longer wanted of an earlier time is removed. On an error, what was
// done by then stays, and to do it again goes on from there: the Changes say what it was, and there is no Credential; where nothing was, there is no Access.
func Authorize(ctx context.Context, admin *rest.Config, options Options) (*Access, error) {
	o, err := options.complete()
	if err != nil {
		return nil, err
	}
	connection, err := connectionOf(admin, o)
	if err != nil {
		return nil, err
	}
	c, err := newClient(admin)
	if err != nil {
		return nil, err
	}
	defer c.close()
	out := &Access{ServiceAccount: types.NamespacedName{Namespace: o.Namespace, Name: o.ServiceAccount}}
	if out.ClusterUID, err = c.rightCluster(ctx, o); err != nil {
		return nil, err
	}
	if err := c.missingNamespaces(ctx, o.Namespaces); err != nil {
		return nil, err
	}
	manifests := o.manifests()
	if err := c.applyAll(ctx, manifests, o.Force, out); err != nil {
		return out, err
	}
	stale, err := c.owned(ctx, o)
	if err != nil {
		return out, asAdmin(err)
	}
	if out.Changes, err = c.remove(ctx, without(stale, manifests), out.Changes); err != nil {
		return out, asAdmin(err)
	}
	token, err := c.token(ctx, out.ServiceAccount, o.TokenLifetime, nil)
	if err != nil {
		return out, asAdmin(fmt.Errorf("making a token of ServiceAccount %s: %w", out.ServiceAccount, err))
	}
	out.Credential, err = usable(connection.WithToken(token), o.Cluster)
	return out, err
}

// rightCluster returns the UID of the cluster, or an error where it is not the pinned one.
func (c *client) rightCluster(ctx context.Context, o Options) (string, error) {
	uid, err := c.uid(ctx)
	if err != nil {
		return "", asAdmin(fmt.Errorf("reading the UID of the namespace %s: %w", uidNamespace, err))
	}
	if o.ClusterUID != "" && o.ClusterUID != uid {
		return "", fmt.Errorf("this is another cluster: it has the UID %s, but %s is pinned to %s; use the kubeconfig of the right cluster", printable(uid), o.Cluster, o.ClusterUID)
	}
	return uid, nil
}

// connectionOf is what podway is to connect with, without a token: what the administrator reaches the server by.
func connectionOf(admin *rest.Config, o Options) (*credential.Credential, error) {
	config := rest.CopyConfig(admin)
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("reading a file that the kubeconfig names: %w", err)
	}
	server, err := serverOf(config)
	if err != nil {
		return nil, err
	}
	out := &credential.Credential{
		Server: server, TLSServerName: config.ServerName, CA: config.CAData, Insecure: config.Insecure, DisableCompression: config.DisableCompression,
	}
	if config.Insecure {
		return nil, errors.New("the kubeconfig skips TLS verification, and so would podway; put the cluster's CA into its certificate-authority-data")
	}
	if config.Proxy != nil {
		proxy, err := config.Proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: "podway.invalid"}})
		if err == nil && proxy != nil {
			out.ProxyURL = proxy.String()
		}
	}
	if o.Server != "" {
		out.Server = o.Server
	}
	// What podway would refuse is better known before anything is made.
	return usable(out.WithToken("unknown-yet"), o.Cluster)
}

// usable says whether podway would connect with what it is given.
func usable(c *credential.Credential, cluster string) (*credential.Credential, error) {
	text, err := c.Kubeconfig()
	if err != nil {
		return nil, err
	}
	out, problems := credential.Parse(text, credential.Origin{Cluster: cluster})
	for _, problem := range problems {
		if problem.Severity == api.Error {
			return nil, fmt.Errorf("podway could not use the kubeconfig that this would make: %s; %s", problem.Message, problem.Remedy)
		}
	}
	return out, nil
}

// uid reads what the cluster is known by.
func (c *client) uid(ctx context.Context) (string, error) {
	var namespace corev1.Namespace
	if err := c.do(ctx, request{method: http.MethodGet, path: namespaces.path("", uidNamespace)}, &namespace); err != nil {
		return "", err
	}
	if namespace.UID == "" {
		return "", errors.New("the answer has no UID: is this a Kubernetes API server?")
	}
	return string(namespace.UID), nil
}

// missingNamespaces is an error where some of the namespaces do not exist: a role cannot be made there. An administrator who may not
// look finds out later.
func (c *client) missingNamespaces(ctx context.Context, names []string) error {
	var missing []string
	for _, name := range names {
		if err := c.do(ctx, request{method: http.MethodGet, path: namespaces.path("", name)}, nil); apierrors.IsNotFound(err) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the cluster has no namespace %s; create it, or leave it out", strings.Join(missing, ", nor "))
}

// applyAll applies the manifests. A Namespace that is there already is left as it is: it is somebody else's, or right.
func (c *client) applyAll(ctx context.Context, manifests []Manifest, force bool, out *Access) error {
	for _, m := range manifests {
		if m.resource == namespaces {
			if err := c.makeNamespace(ctx, m, out); err != nil {
				return asAdmin(err)
			}
			continue
		}
		query := managed()
		query.Set("force", fmt.Sprint(force))
		err := c.do(ctx, request{
			method: http.MethodPatch, path: m.resource.path(m.meta.Namespace, m.meta.Name), query: query, body: m.Object, contentType: "application/apply-patch+yaml",
		}, nil)
		if err != nil {
			return asAdmin(fmt.Errorf("applying %s: %w", m, err))
		}
		out.Changes = append(out.Changes, Change{Done: "applied", Object: m.String()})
	}
	return nil
}

// makeNamespace makes a Namespace where there is none of that name.
func (c *client) makeNamespace(ctx context.Context, m Manifest, out *Access) error {
	if c.do(ctx, request{method: http.MethodGet, path: namespaces.path("", m.meta.Name)}, nil) == nil {
		return nil
	}
	err := c.do(ctx, request{method: http.MethodPost, path: namespaces.path("", ""), query: managed(), body: m.Object}, nil)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", m, err)
	}
	out.Changes = append(out.Changes, Change{Done: "made", Object: m.String()})
	return nil
}

func managed() url.Values { return url.Values{"fieldManager": {FieldManager}} }

// asAdmin adds to an error what an administrator can do about it.
func asAdmin(err error) error {
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: the API server does not know whose kubeconfig this is; log in again, or use another one", err)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fmt.Errorf("%w; that namespace is being removed: try again when it is gone", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; use the kubeconfig of somebody who may do so, such as a cluster-admin", err)
	case apierrors.IsConflict(err):
		return fmt.Errorf("%w; somebody else has set these fields: look at what they meant, then use --force to take them over", err)
	}
	return err
}

// Capped says whether the API server has given a token a noticeably shorter life than was asked for, and which.
func (a *Access) Capped(asked time.Duration) (time.Duration, bool) {
	if asked == 0 {
		asked = DefaultTokenLifetime
	}
	got := a.Credential.TokenLifetime()
	return got, got > 0 && got < asked*9/10
}
