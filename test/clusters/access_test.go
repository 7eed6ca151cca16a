//go:build clusters

package clusters

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	for what, try := range forbidden(t.Context(), client) {
		require.True(t, apierrors.IsForbidden(try()), "%s: %v", what, try())
	}
}

// forbidden is what podway must not be able to do, though some of it is near to what it does.
func forbidden(ctx context.Context, client kubernetes.Interface) map[string]func() error {
	list, get := metav1.ListOptions{}, metav1.GetOptions{}
	token, create := &authenticationv1.TokenRequest{}, metav1.CreateOptions{}
	core := client.CoreV1()
	errOf := func(_ any, err error) error { return err }
	return map[string]func() error{
		"list secrets":       func() error { return errOf(core.Secrets("shop").List(ctx, list)) },
		"get a secret":       func() error { return errOf(core.Secrets("shop").Get(ctx, "key", get)) },
		"list configmaps":    func() error { return errOf(core.ConfigMaps("shop").List(ctx, list)) },
		"services elsewhere": func() error { return errOf(core.Services("cart").List(ctx, list)) },
		"services of all":    func() error { return errOf(core.Services("").List(ctx, list)) },
		"pods elsewhere":     func() error { return errOf(core.Pods("kube-system").List(ctx, list)) },
		"another namespace":  func() error { return errOf(core.Namespaces().Get(ctx, "shop", get)) },
		"list namespaces":    func() error { return errOf(core.Namespaces().List(ctx, list)) },
		"list nodes":         func() error { return errOf(core.Nodes().List(ctx, list)) },
		"delete a pod":       func() error { return core.Pods("shop").Delete(ctx, "any", metav1.DeleteOptions{}) },
		"read a log":         func() error { return core.Pods("shop").GetLogs("any", &corev1.PodLogOptions{}).Do(ctx).Error() },
		"look at itself":     func() error { return errOf(core.ServiceAccounts("podway-access").Get(ctx, "podway-east", get)) },
		"the token of another": func() error {
			return errOf(core.ServiceAccounts("podway-access").CreateToken(ctx, "default", token, create))
		},
		"the token of one elsewhere": func() error {
			return errOf(core.ServiceAccounts("shop").CreateToken(ctx, "podway-east", token, create))
		},
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
	for file, namespaces := range map[string][]string{"cluster-wide.yaml": nil, "namespaced.yaml": {"shop"}} {
		deployed, err := os.ReadFile(filepath.Join("../../deploy/member-cluster", file))
		require.NoError(t, err)
		applyYAML(t, c, deployed)
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

// cli runs podway as a person does.
type cli struct {
	t       *testing.T
	program string
}

func buildCLI(t *testing.T) *cli {
	t.Helper()
	program := filepath.Join(t.TempDir(), "podway")
	text, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/podway").CombinedOutput()
	require.NoError(t, err, "%s", text)
	return &cli{t, program}
}

// run returns what podway says on stdout and stderr, which must end with that exit code.
func (c *cli) run(code int, args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.program, args...)
	text, err := cmd.CombinedOutput()
	require.NotNil(c.t, cmd.ProcessState, "%v", err)
	require.Equal(c.t, code, cmd.ProcessState.ExitCode(), "%q: %s", args, text)
	return string(text)
}

func TestACommandLineConnectsAndDisconnectsACluster(t *testing.T) {
	t.Parallel()
	c, podway := withNamespaces(t, "shop", "cart"), buildCLI(t)
	directory, admin := t.TempDir(), filepath.Join(t.TempDir(), "admin")
	require.NoError(t, os.WriteFile(admin, c.Kubeconfig(c.AdminToken()), 0o600))
	member, kubeconfig := filepath.Join(directory, "east.membercluster.yaml"), filepath.Join(directory, "east.kubeconfig")
	authorize := []string{"clusters", "authorize", "east", "--kubeconfig", admin, "--config", directory}

	said := podway.run(0, append(authorize, "--namespaces", "shop,cart")...)
	require.Contains(t, said, "applied Role shop/podway-east-reader\n")
	require.Contains(t, said, "wrote "+kubeconfig+"\nwrote "+member+"\nno tunnel may use east yet: ")
	require.Contains(t, said, "\nthe token lasts 30 days, until ")
	for path, mode := range map[string]os.FileMode{kubeconfig: 0o600, member: 0o644} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	said = podway.run(0, append(authorize, "--namespaces", "shop", "--allow-from", "edge")...)
	require.Contains(t, said, "removed Role cart/podway-east-reader\n")
	require.NotContains(t, said, "no tunnel may use east")

	require.Eventually(t, func() bool {
		return !strings.Contains(podway.any("clusters", "check", "east", "--config", directory), "(forbidden)")
	}, limit, 20*time.Millisecond)
	said = podway.run(0, "clusters", "check", "east", "--config", directory)
	require.Regexp(t, `ok +cluster UID +`+string(c.ClusterUID())+`, as pinned\n`, said)
	require.NotContains(t, said, "failed")
	require.NotContains(t, said, "warning")

	// What a person has changed stays, and what does not fit it is said.
	text, err := os.ReadFile(member)
	require.NoError(t, err)
	edited := strings.Replace(string(text), "    - shop\n", "    - shop\n    - cart\n", 1)
	require.NotEqual(t, string(text), edited)
	require.NoError(t, os.WriteFile(member, []byte(edited), 0o600))
	said = podway.run(0, append(authorize, "--namespaces", "shop")...)
	require.Contains(t, said, "kept MemberCluster east in "+member+":2, which is not as podway would write it\n"+
		"its spec.allowedTunnels names namespaces that podway may not read now: run this again with all of them, or remove them there\n")
	said = podway.run(1, "clusters", "check", "east", "--config", directory)
	require.Contains(t, said, "cannot list services in namespace cart (forbidden); grant it: podway clusters authorize east --kubeconfig ADMIN --namespaces cart,shop, or ")
	podway.run(0, append(authorize, "--namespaces", "shop", "--force")...)

	revoke := []string{"clusters", "revoke", "east", "--kubeconfig", admin, "--config", directory}
	said = podway.run(0, append(revoke, "--dry-run")...)
	require.Contains(t, said, "would remove ServiceAccount podway-access/podway-east\n")
	require.Contains(t, said, "would remove Namespace podway-access\nwould remove "+member+"\nwould remove "+kubeconfig+"\n")
	spare, err := os.ReadFile(kubeconfig)
	require.NoError(t, err)
	own, err := os.ReadFile(member)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(member, []byte(strings.Replace(string(own), string(c.ClusterUID()), "another", 1)), 0o600))
	said = podway.run(1, revoke...)
	require.Contains(t, said, "this is another cluster: it has the UID "+string(c.ClusterUID())+", but east is pinned to another; use the kubeconfig of the right cluster")
	require.NotContains(t, said, "removed")
	require.FileExists(t, kubeconfig)
	require.NoError(t, os.WriteFile(member, own, 0o600))
	said = podway.run(0, revoke...)
	require.Contains(t, said, "removed Namespace podway-access\nremoved "+member+"\nremoved "+kubeconfig+"\n")
	left, err := os.ReadDir(directory)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, "the cluster has nothing of ServiceAccount podway-access/podway-east\n", podway.run(0, revoke...))

	// The token is worth nothing any more.
	require.NoError(t, os.WriteFile(member, text, 0o600))
	require.NoError(t, os.WriteFile(kubeconfig, spare, 0o600))
	require.Eventually(t, func() bool {
		return strings.Contains(podway.any("clusters", "check", "east", "--config", directory), "401 Unauthorized")
	}, limit, 100*time.Millisecond)
}

// TestACommandThatFailsHalfWaySaysWhatItDid: the rights that it has given by then are there.
func TestACommandThatFailsHalfWaySaysWhatItDid(t *testing.T) {
	t.Parallel()
	c, podway := kubetest.Start(t, kubetest.Options{Name: "east", Users: []string{"half"}}), buildCLI(t)
	c.Create(kubetest.Namespace("shop"))
	c.Allow(kubetest.User("half"), kubetest.Grant{Rules: []rbacv1.PolicyRule{
		kubetest.Rule([]string{"get", "create", "patch"}, "", "namespaces", "serviceaccounts"),
	}})
	admin := filepath.Join(t.TempDir(), "admin")
	require.NoError(t, os.WriteFile(admin, c.Kubeconfig(c.TokenOf("half")), 0o600))
	authorize := []string{"clusters", "authorize", "east", "--kubeconfig", admin, "--config", t.TempDir(), "--namespaces", "shop"}
	var said string
	require.Eventually(t, func() bool {
		said = podway.any(authorize...)
		return strings.Contains(said, `cannot patch resource "clusterroles"`)
	}, limit, 20*time.Millisecond)
	require.Contains(t, said, "applied ServiceAccount podway-access/podway-east\n"+
		"this is all that was done, and it stays: run this again to go on, or podway clusters revoke east to undo it\n")
}

// any returns what podway says, however it ends.
func (c *cli) any(args ...string) string {
	c.t.Helper()
	text, err := exec.CommandContext(c.t.Context(), c.program, args...).CombinedOutput()
	var exit *exec.ExitError
	require.True(c.t, err == nil || errors.As(err, &exit), "%v", err)
	return string(text)
}
