//go:build clusters

package clusters

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/api/snapshot"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
)

func withNamespaces(t *testing.T, names ...string) *kubetest.Cluster {
	t.Helper()
	c := kubetest.Start(t, kubetest.Options{Name: "east"})
	for _, name := range names {
		c.Create(kubetest.Namespace(name))
	}
	return c
}

// check tries until the API server has taken note of the roles, which takes milliseconds.
func check(t *testing.T, subject access.Subject) access.Report {
	t.Helper()
	var report access.Report
	require.Eventually(t, func() bool {
		report = access.Check(t.Context(), subject)
		return !strings.Contains(report.String(), "(forbidden)")
	}, limit, 20*time.Millisecond, "%s", &report)
	return report
}

func TestAccessIsAllThatIsNeededAndNoMore(t *testing.T) {
	t.Parallel()
	c := withNamespaces(t, "shop", "cart")
	c.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "key"}})
	made, err := access.Authorize(t.Context(), c.Config(), access.Options{Cluster: "east", Namespaces: []string{"shop"}})
	require.NoError(t, err)
	require.Equal(t, string(c.ClusterUID()), made.ClusterUID)
	require.WithinDuration(t, time.Now().Add(access.DefaultTokenLifetime), made.Credential.Expires, time.Minute)

	subject := access.Subject{
		Cluster: "east", Credential: made.Credential, ClusterUID: made.ClusterUID,
		Scope: &snapshot.Scope{Namespaces: []string{"shop"}}, Pods: &snapshot.Scope{Namespaces: []string{"shop"}},
	}
	report := check(t, subject)
	for _, line := range report.Lines {
		require.Equal(t, access.StatusOK, line.Status, "%s", line)
	}
	require.Contains(t, report.String(), "streaming lists: ok: the API server has them")

	client := clientFor(t, made.Credential.RESTConfig())
	_, err = client.CoreV1().Services("shop").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for what, try := range forbidden(client) {
		require.True(t, apierrors.IsForbidden(try()), "%s: %v", what, try())
	}
}

// forbidden is what podway must not be able to do, though some of it is near to what it does.
func forbidden(client kubernetes.Interface) map[string]func() error {
	ctx, list := context(), metav1.ListOptions{}
	token := &authenticationv1.TokenRequest{}
	return map[string]func() error{
		"list secrets":              func() error { _, err := client.CoreV1().Secrets("shop").List(ctx, list); return err },
		"get a secret":              func() error { _, err := client.CoreV1().Secrets("shop").Get(ctx, "key", metav1.GetOptions{}); return err },
		"list configmaps":           func() error { _, err := client.CoreV1().ConfigMaps("shop").List(ctx, list); return err },
		"services elsewhere":        func() error { _, err := client.CoreV1().Services("cart").List(ctx, list); return err },
		"services of all":           func() error { _, err := client.CoreV1().Services("").List(ctx, list); return err },
		"pods elsewhere":            func() error { _, err := client.CoreV1().Pods("kube-system").List(ctx, list); return err },
		"another namespace":         func() error { _, err := client.CoreV1().Namespaces().Get(ctx, "shop", metav1.GetOptions{}); return err },
		"list namespaces":           func() error { _, err := client.CoreV1().Namespaces().List(ctx, list); return err },
		"list nodes":                func() error { _, err := client.CoreV1().Nodes().List(ctx, list); return err },
		"delete pods":               func() error { return client.CoreV1().Pods("shop").Delete(ctx, "any", metav1.DeleteOptions{}) },
		"read a pod's log":          func() error { return client.CoreV1().Pods("shop").GetLogs("any", &corev1.PodLogOptions{}).Do(ctx).Error() },
		"its own ServiceAccount":    func() error { _, err := client.CoreV1().ServiceAccounts("podway-access").Get(ctx, "podway-east", metav1.GetOptions{}); return err },
		"a token of somebody else":  func() error { _, err := client.CoreV1().ServiceAccounts("podway-access").CreateToken(ctx, "default", token, metav1.CreateOptions{}); return err },
		"a token of somebody there": func() error { _, err := client.CoreV1().ServiceAccounts("shop").CreateToken(ctx, "podway-east", token, metav1.CreateOptions{}); return err },
	}
}

func TestTokenIsRenewedAndRevoked(t *testing.T) {
	t.Parallel()
	c := withNamespaces(t)
	options := access.Options{Cluster: "east", TokenLifetime: 2 * time.Hour}
	made, err := access.Authorize(t.Context(), c.Config(), options)
	require.NoError(t, err)
	check(t, access.Subject{Cluster: "east", Credential: made.Credential, Scope: snapshot.Everything})

	renewed, err := access.Renew(t.Context(), nil, made.Credential)
	require.NoError(t, err)
	require.NotEqual(t, made.Credential.Token, renewed.Token)
	require.Equal(t, made.Credential.ServiceAccount, renewed.ServiceAccount)
	require.Equal(t, made.Credential.Audiences, renewed.Audiences)
	require.Equal(t, 2*time.Hour, renewed.TokenLifetime())
	require.NoError(t, listAll(t, renewed))
	require.NoError(t, listAll(t, made.Credential), "the old token is good until it expires")

	changes, err := access.Revoke(t.Context(), c.Config(), options, false)
	require.NoError(t, err)
	require.Len(t, changes, 8, "%v", changes)
	require.Eventually(t, func() bool {
		err := listAll(t, renewed)
		return apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err)
	}, limit, 20*time.Millisecond)
	_, err = access.Renew(t.Context(), nil, renewed)
	require.Error(t, err)
	changes, err = access.Revoke(t.Context(), c.Config(), options, false)
	require.NoError(t, err)
	require.Empty(t, changes)
}

func listAll(t *testing.T, c *credential.Credential) error {
	t.Helper()
	_, err := clientFor(t, c.RESTConfig()).CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
	return err
}

func TestAuthorizingAgainMovesAccess(t *testing.T) {
	t.Parallel()
	c := withNamespaces(t, "shop", "cart")
	may := func(made *access.Access, namespace string) func() bool {
		client := clientFor(t, made.Credential.RESTConfig())
		return func() bool {
			_, err := client.CoreV1().Services(namespace).List(t.Context(), metav1.ListOptions{})
			require.True(t, err == nil || apierrors.IsForbidden(err), "%v", err)
			return err == nil
		}
	}
	not := func(f func() bool) func() bool { return func() bool { return !f() } }
	for _, step := range []struct{ namespaces, may, mayNot []string }{
		{nil, []string{"", "cart"}, nil},
		{[]string{"shop", "cart"}, []string{"shop", "cart"}, []string{""}},
		{[]string{"cart"}, []string{"cart"}, []string{"shop", ""}},
	} {
		made, err := access.Authorize(t.Context(), c.Config(), access.Options{Cluster: "east", Namespaces: step.namespaces})
		require.NoError(t, err)
		for _, namespace := range step.may {
			require.Eventually(t, may(made, namespace), limit, 20*time.Millisecond, "%v: %q", step.namespaces, namespace)
		}
		for _, namespace := range step.mayNot {
			require.Eventually(t, not(may(made, namespace)), limit, 20*time.Millisecond, "%v: %q", step.namespaces, namespace)
		}
	}
	_, err := access.Authorize(t.Context(), c.Config(), access.Options{Cluster: "east", Namespaces: []string{"gone", "shop"}})
	require.EqualError(t, err, "the cluster has no namespace gone; create it, or leave it out")
}

func TestFieldsOfSomebodyElseAreAConflict(t *testing.T) {
	t.Parallel()
	c := withNamespaces(t)
	options := access.Options{Cluster: "east"}
	_, err := access.Authorize(t.Context(), c.Config(), options)
	require.NoError(t, err)
	roles := c.Client().RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "podway-east-reader", metav1.GetOptions{})
	require.NoError(t, err)
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list"}})
	_, err = roles.Update(t.Context(), role, metav1.UpdateOptions{FieldManager: "somebody"})
	require.NoError(t, err)

	_, err = access.Authorize(t.Context(), c.Config(), options)
	require.ErrorContains(t, err, `applying ClusterRole podway-east-reader: Apply failed with 1 conflict: conflict with "somebody"`)
	require.ErrorContains(t, err, "use --force to take them over")
	options.Force = true
	_, err = access.Authorize(t.Context(), c.Config(), options)
	require.NoError(t, err)
	role, err = roles.Get(t.Context(), "podway-east-reader", metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, role.Rules, 2)
}

func TestLifetimeIsCappedByTheServer(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t, kubetest.Options{ServerFlags: []string{"--service-account-max-token-expiration=2h"}})
	made, err := access.Authorize(t.Context(), c.Config(), access.Options{Cluster: "east"})
	require.NoError(t, err)
	lifetime, capped := made.Capped(0)
	require.True(t, capped)
	require.Equal(t, 2*time.Hour, lifetime)
}

// What is printed for a person can be applied by hand, and goes together with what is applied later.
func TestPrintedManifestsApply(t *testing.T) {
	t.Parallel()
	c := withNamespaces(t, "shop")
	for _, namespaces := range [][]string{nil, {"shop"}} {
		options := access.Options{Cluster: "east", Namespaces: namespaces}
		manifests, err := access.Manifests(options)
		require.NoError(t, err)
		text, err := access.YAML(manifests)
		require.NoError(t, err)
		applyYAML(t, c, text)
		_, err = access.Authorize(t.Context(), c.Config(), options)
		require.NoError(t, err)
	}
}

// applyYAML does as kubectl apply --server-side does.
func applyYAML(t *testing.T, c *kubetest.Cluster, text []byte) {
	t.Helper()
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var object unstructured.Unstructured
		require.NoError(t, yaml.Unmarshal([]byte(document), &object.Object), document)
		path := "/apis/" + object.GetAPIVersion()
		if object.GetAPIVersion() == "v1" {
			path = "/api/v1"
		}
		if object.GetNamespace() != "" {
			path += "/namespaces/" + object.GetNamespace()
		}
		path += "/" + strings.ToLower(object.GetKind()) + "s/" + object.GetName()
		body, err := object.MarshalJSON()
		require.NoError(t, err)
		err = c.Client().CoreV1().RESTClient().Patch(types.ApplyPatchType).AbsPath(path).
			Param("fieldManager", "kubectl").Param("fieldValidation", "Strict").Body(body).Do(t.Context()).Error()
		require.NoError(t, err, path)
	}
}

// podway is the command, built once.
var podway = sync.OnceValues(func() (string, error) {
	directory, err := os.MkdirTemp("", "podway-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(directory, "podway")
	if text, err := exec.Command("go", "build", "-o", path, "../../cmd/podway").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	return path, nil
})

// say runs podway, and returns its exit code and what it said.
func say(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := podway()
	require.NoError(t, err)
	var out, failed bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &failed
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		require.NoError(t, err)
	}
	return code, out.String(), failed.String()
}
