//go:build clusters

package clusters

import (
	"context"
	"crypto/x509"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	kubetest "github.com/podway/podway/test/kube"
)

// These tests are of the harness: each fault does what it says.

// limit is more than any step takes.
const limit = time.Minute

func clientFor(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}

func TestServerIsAwayAndComesBackWhereItWas(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t, kubetest.Options{})
	c.Create(kubetest.Namespace("shop"))
	uid := c.ClusterUID()

	for _, end := range []func(){c.Kill, c.StopServer} {
		end()
		_, err := c.Client().CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{})
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		c.Restart(kubetest.RestartOptions{})
		c.Get(kubetest.Namespace("shop"))
		require.Equal(t, uid, c.ClusterUID())
	}

	c.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.Client().CoreV1().Namespaces().Get(ctx, "shop", metav1.GetOptions{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	c.Thaw()
	c.Get(kubetest.Namespace("shop"))
}

func TestOldVersionsAreGoneAfterARestartWithoutHistory(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t, kubetest.Options{})
	namespace := kubetest.Namespace("shop")
	c.Create(namespace)
	service := kubetest.Service("shop", "web", kubetest.Port("http", 80, "8080"))
	c.Create(service)
	old := metav1.ListOptions{ResourceVersion: namespace.ResourceVersion}
	first := firstEvent(t, c, old)
	require.Equal(t, watch.Added, first.Type)

	kubetest.Modify(c, service, func(s *corev1.Service) { s.Labels = map[string]string{"changed": "yes"} })
	c.Restart(kubetest.RestartOptions{Compact: true})
	c.Create(kubetest.Namespace("later"))
	gone := firstEvent(t, c, old)
	require.Equal(t, watch.Error, gone.Type)
	err := apierrors.FromObject(gone.Object)
	require.True(t, apierrors.IsResourceExpired(err) || apierrors.IsGone(err), "%v", err)
}

// firstEvent is the first of a watch on Services; a watch that is refused is an event of type Error.
func firstEvent(t *testing.T, c *kubetest.Cluster, options metav1.ListOptions) watch.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	w, err := c.Client().CoreV1().Services("shop").Watch(ctx, options)
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		refused := status.Status()
		return watch.Event{Type: watch.Error, Object: &refused}
	}
	require.NoError(t, err)
	defer w.Stop()
	event, ok := <-w.ResultChan()
	require.True(t, ok, "the watch ended without an event")
	return event
}

func TestCertificateAndClusterAreReplaced(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t, kubetest.Options{Users: []string{"viewer"}})
	c.Create(kubetest.Namespace("shop"))
	account := c.Account("shop", "podway", kubetest.Reader("shop")...)
	token, uid, before := c.Token(account, time.Hour), c.ClusterUID(), c.Config()

	c.Replace()
	require.NotEqual(t, uid, c.ClusterUID())
	_, err := c.Client().CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	require.True(t, apierrors.IsUnauthorized(list(t, c, token)))
	viewer := c.TokenOf("viewer")
	require.True(t, apierrors.IsForbidden(list(t, c, viewer)))
	c.Create(kubetest.Namespace("shop"))
	c.Allow(kubetest.User("viewer"), kubetest.Reader("shop")...)
	require.Eventually(t, func() bool { return list(t, c, viewer) == nil }, limit, 10*time.Millisecond)

	c.Restart(kubetest.RestartOptions{OtherCA: true})
	_, err = clientFor(t, before).CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{})
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
	c.Get(kubetest.Namespace("shop"))
}

// list lists the Services of the namespace shop.
func list(t *testing.T, c *kubetest.Cluster, token string) error {
	t.Helper()
	config := c.Config()
	config.BearerToken = token
	_, err := clientFor(t, config).CoreV1().Services("shop").List(t.Context(), metav1.ListOptions{})
	return err
}

func TestAccountsMayWhatIsGrantedWhileTheirTokensLast(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t, kubetest.Options{})
	c.Create(kubetest.Namespace("shop"))
	account := c.Account("shop", "podway", kubetest.Reader("shop")...)
	token, short := c.Token(account, 10*time.Minute), c.Token(account, time.Minute)
	require.Eventually(t, func() bool { return list(t, c, token) == nil }, limit, 10*time.Millisecond)
	require.NoError(t, list(t, c, short))
	require.NoError(t, list(t, c, c.SignToken(account, time.Now().Add(-50*time.Second))), "within the leeway")
	require.True(t, apierrors.IsUnauthorized(list(t, c, c.SignToken(account, time.Now().Add(-61*time.Second)))))

	c.Deny(account, kubetest.Reader("shop")...)
	require.Eventually(t, func() bool { return apierrors.IsForbidden(list(t, c, token)) }, limit, 10*time.Millisecond)
	c.Allow(account, kubetest.Reader("shop")...)
	require.Eventually(t, func() bool { return list(t, c, token) == nil }, limit, 10*time.Millisecond)
}

func TestFrontAnswersAndCountsAndProxyStandsBefore(t *testing.T) {
	t.Parallel()
	c := kubetest.Start(t, kubetest.Options{})
	c.Create(kubetest.Namespace("shop"))
	front := kubetest.NewFront(t, c)
	proxy := kubetest.NewProxy(t, front.Address())
	config := c.Config()
	config.Host = proxy.URL()
	services := clientFor(t, config).CoreV1().Services("shop")

	w, err := services.Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	defer w.Stop()
	c.Create(kubetest.Service("shop", "web", kubetest.Port("http", 80, "8080")))
	require.Equal(t, watch.Added, (<-w.ResultChan()).Type)

	for code, is := range map[int]func(error) bool{500: apierrors.IsInternalError, 403: apierrors.IsForbidden, 401: apierrors.IsUnauthorized} {
		stop := front.Answer(kubetest.Is("list", "services"), kubetest.Answer{Code: code})
		_, err = services.List(t.Context(), metav1.ListOptions{})
		require.True(t, is(err), "%d: %v", code, err)
		stop()
	}
	// client-go itself tries again after a 429.
	busy := front.Answer(kubetest.Is("list", ""), kubetest.Answer{Code: 429, RetryAfter: time.Second})
	before := front.Count("list", "services")
	listed := make(chan error, 1)
	go func() {
		_, err := services.List(t.Context(), metav1.ListOptions{})
		listed <- err
	}()
	require.Eventually(t, func() bool { return front.Count("list", "services") > before }, limit, time.Millisecond)
	busy()
	require.NoError(t, <-listed)
	require.Equal(t, before+2, front.Count("list", "services"))
	require.Equal(t, 1, front.Count("watch", "services"))

	front.Cut()
	_, open := <-w.ResultChan()
	require.False(t, open, "the watch goes on after all connections were cut")
	require.NotZero(t, proxy.Accepted())
}
