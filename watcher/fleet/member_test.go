package fleet

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/credential"
)

// patience is longer than anything takes here, on however busy a machine.
const patience = 2 * time.Minute

// newFleet is one of a directory of its own. No cluster of it is anywhere.
func newFleet(t *testing.T) *Fleet {
	t.Helper()
	return New(Config{
		Directory: t.TempDir(), Lanes: watcher.NewLanes(nil), Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
}

// run runs a Fleet until the test ends or what it returns is called, and returns once it has begun.
func run(t *testing.T, f *Fleet) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.ctx != nil
	}, patience, time.Millisecond)
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

func clusters(names ...string) *snapshot.Config {
	cfg := &snapshot.Config{MemberClusters: map[string]*v1alpha1.MemberCluster{}}
	for _, name := range names {
		cluster := &v1alpha1.MemberCluster{}
		cluster.Name = name
		cluster.Spec.Source = v1alpha1.ClusterSource{
			Type: v1alpha1.ClusterSourceKubeconfig, Kubeconfig: &v1alpha1.KubeconfigSource{File: name + ".kubeconfig"},
		}
		cluster.Spec.AllowedTunnels = []v1alpha1.AllowedTunnels{{From: []string{"*"}, To: []string{"*"}}}
		cfg.MemberClusters[name] = cluster
	}
	return cfg
}

// TestAClusterThatIsThereWhenTheFleetBeginsIsStartedOnce: it is the Run that starts it, and then the Configure that was under way.
func TestAClusterThatIsThereWhenTheFleetBeginsIsStartedOnce(t *testing.T) {
	f := newFleet(t)
	f.Configure(clusters("east"))
	stop := run(t, f)
	f.mu.Lock()
	f.start(f.members["east"])
	f.mu.Unlock()
	stop()
}

// TestClustersThatComeAndGoLeaveNothing: neither goroutines, which TestMain looks for, nor metrics.
func TestClustersThatComeAndGoLeaveNothing(t *testing.T) {
	f := newFleet(t)
	stop := run(t, f)
	for i := range 20 {
		name := fmt.Sprintf("c-%d", i)
		require.NoError(t, os.WriteFile(filepath.Join(f.config.Directory, name+".kubeconfig"), []byte(kubeconfigOf(token(time.Hour, time.Now()))), 0o600))
		f.Configure(clusters("stays", name))
		require.Eventually(t, func() bool {
			for _, status := range f.Clusters() {
				if status.Name == name && status.Server != "" && status.Reason != "" {
					return true
				}
			}
			return false
		}, patience, time.Millisecond)
	}
	f.Configure(clusters("stays"))
	families, err := f.config.Registerer.(*prometheus.Registry).Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			require.Equal(t, "stays", metric.GetLabel()[0].GetValue(), family.GetName())
		}
	}
	stop()
}

// token is one of a ServiceAccount, that was issued then.
func token(lifetime time.Duration, issued time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub": "system:serviceaccount:podway:podway", "iat": %d, "exp": %d}`, issued.Unix(), issued.Add(lifetime).Unix())
	return part([]byte(`{"alg": "none"}`)) + "." + part([]byte(claims)) + "." + part([]byte("signature"))
}

// kubeconfigOf leads to where nobody is.
func kubeconfigOf(token string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: %q}}]
`, token)
}

// TestTroubleWithAnEarlierTokenIsNoneOfTheNext: its renewal failed, or fails when another one has taken its place.
func TestTroubleWithAnEarlierTokenIsNoneOfTheNext(t *testing.T) {
	f := newFleet(t)
	m := newMember(f, "east")
	m.configure(clusters("east").MemberClusters["east"], nil, nil)
	attemptOf := func(token string) *attempt {
		loaded, problems := credential.Parse([]byte(kubeconfigOf(token)), credential.OriginOf(m.cluster))
		require.Empty(t, problems)
		a, err := m.attempt(target{credential: loaded, scope: snapshot.Everything})
		require.NoError(t, err)
		return a
	}
	first, second := attemptOf(token(time.Hour, time.Now().Add(-40*time.Minute))), attemptOf(token(time.Hour, time.Now()))
	codes := func() (codes []string) {
		for _, problem := range m.problems() {
			codes = append(codes, problem.Code)
		}
		return codes
	}
	m.setActive(first)
	m.renewNow(t.Context(), m.cluster, first)
	require.Equal(t, []string{CodeTokenNotRenewed}, codes())
	m.setActive(second)
	require.Empty(t, codes())
	m.renewNow(t.Context(), m.cluster, first)
	require.Empty(t, codes())
	m.renewNow(t.Context(), m.cluster, second)
	require.Equal(t, []string{CodeTokenNotRenewed}, codes())
}

// TestWhatIsConfiguredIsNoNewsHoweverOftenItWasRenewed: a token in a Secret cannot be replaced there.
func TestWhatIsConfiguredIsNoNewsHoweverOftenItWasRenewed(t *testing.T) {
	f := newFleet(t)
	m := newMember(f, "east")
	m.configure(clusters("east").MemberClusters["east"], nil, nil)
	loaded, _ := credential.Parse([]byte(kubeconfigOf(token(time.Hour, time.Now()))), credential.OriginOf(m.cluster))
	to := target{credential: loaded, scope: snapshot.Everything}
	a, err := m.attempt(to)
	require.NoError(t, err)
	for i := range 2 * keptCredentials {
		a.use(loaded.WithToken(token(time.Hour, time.Now().Add(time.Duration(i)*time.Minute))))
	}
	require.True(t, a.isFor(to))
}

// TestACandidateMayTakeItsTimeToList: a large cluster takes longer than two seconds, and nothing is to be corrected.
func TestACandidateMayTakeItsTimeToList(t *testing.T) {
	m := newMember(newFleet(t), "east")
	m.configure(clusters("east").MemberClusters["east"], nil, nil)
	loaded, _ := credential.Parse([]byte(kubeconfigOf(token(time.Hour, time.Now()))), credential.OriginOf(m.cluster))
	attempt := func() *attempt {
		a, err := m.attempt(target{credential: loaded, scope: snapshot.Everything})
		require.NoError(t, err)
		return a
	}
	m.setActive(attempt())
	m.told.State, m.candidate = Live, attempt()
	m.candidate.begun = time.Now().Add(-toldAfterListing / 2)
	require.Empty(t, m.problems())
	m.candidate.begun = time.Now().Add(-2 * toldAfterListing)
	require.Len(t, m.problems(), 1)
	require.Equal(t, "the changed credential or scope is not in force: waiting for the first complete list; the one before still is", m.problems()[0].Message)
}

// TestATokenThatIsNotRenewedIsToldWithWhatHelps: the rights are to blame only where the server says so.
func TestATokenThatIsNotRenewedIsToldWithWhatHelps(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "serviceaccounts/token"}, "podway", errors.New("no"))
	away := &net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 40001}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		failure      error
		said, remedy string
	}{
		{
			away, "and could not be renewed: connection refused",
			"podway tries again every 30s; see that the API server can be reached: podway clusters check east --config DIR",
		},
		{
			fmt.Errorf("renewing the token of ServiceAccount podway/podway: %w", refused),
			`and could not be renewed: renewing the token of ServiceAccount podway/podway: serviceaccounts/token "podway" is forbidden: no`,
			"let the ServiceAccount create its own tokens, or make a new credential: podway clusters authorize east --kubeconfig ADMIN",
		},
	} {
		m := newMember(newFleet(t), "east")
		m.configure(clusters("east").MemberClusters["east"], nil, nil)
		loaded, _ := credential.Parse([]byte(kubeconfigOf(token(time.Hour, time.Now().Add(-40*time.Minute)))), credential.OriginOf(m.cluster))
		a, err := m.attempt(target{credential: loaded, scope: snapshot.Everything})
		require.NoError(t, err)
		m.setActive(a)
		m.renewal.failure = test.failure
		problem := m.problems()[0]
		require.Equal(t, CodeTokenNotRenewed, problem.Code)
		require.True(t, strings.HasSuffix(problem.Message, test.said), problem.Message)
		require.Equal(t, test.remedy, problem.Remedy)
	}
}

// TestATokenThatIsNotKeptIsToldUntilWhenTheConfiguredOneLasts in a file and in a Secret.
func TestATokenThatIsNotKeptIsToldUntilWhenTheConfiguredOneLasts(t *testing.T) {
	for why, remedy := range map[error]string{
		errNotAFile:                         "put a new kubeconfig into the Secret before that: podway clusters authorize east --kubeconfig ADMIN --token-lifetime 8760h makes one",
		errors.New("read-only file system"): "let podway write the kubeconfig, or replace it before that",
	} {
		m := newMember(newFleet(t), "east")
		m.configure(clusters("east").MemberClusters["east"], nil, nil)
		issued := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
		loaded, _ := credential.Parse([]byte(kubeconfigOf(token(100*365*24*time.Hour, issued))), credential.OriginOf(m.cluster))
		a, err := m.attempt(target{credential: loaded, scope: snapshot.Everything})
		require.NoError(t, err)
		a.use(loaded.WithToken(token(101*365*24*time.Hour, issued)))
		m.setActive(a)
		m.renewal.unsaved = why
		require.Equal(t, "warning TokenNotRenewed: MemberCluster east spec.source.kubeconfig.file: the token was renewed, but could not be kept: "+why.Error()+
			"; after a restart podway begins with the one that is configured, which ends at 2126-04-07T10:00:00Z; "+remedy, m.problems()[0].String())
	}
}

// TestATokenIsWrittenBackAlsoWhereTheOneBeforeItWasNot: what is in the file is still podway's own.
func TestATokenIsWrittenBackAlsoWhereTheOneBeforeItWasNot(t *testing.T) {
	m := newMember(newFleet(t), "east")
	m.configure(clusters("east").MemberClusters["east"], nil, nil)
	path := filepath.Join(m.fleet.config.Directory, "east.kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(kubeconfigOf(token(time.Hour, time.Now()))), 0o600))
	loaded, _ := credential.Load(m.cluster, m.fleet.config.Directory, nil)
	a, err := m.attempt(target{credential: loaded, scope: snapshot.Everything})
	require.NoError(t, err)
	a.use(loaded.WithToken(token(2*time.Hour, time.Now()))) // not written
	second := loaded.WithToken(token(3*time.Hour, time.Now()))
	a.use(second)
	require.NoError(t, m.writeBack(m.cluster, a, second))
	written, _ := credential.Load(m.cluster, m.fleet.config.Directory, nil)
	require.True(t, written.Equal(second))

	require.NoError(t, os.WriteFile(path, []byte(kubeconfigOf(token(4*time.Hour, time.Now()))), 0o600))
	theirs, _ := credential.Load(m.cluster, m.fleet.config.Directory, nil)
	require.NoError(t, m.writeBack(m.cluster, a, second))
	written, _ = credential.Load(m.cluster, m.fleet.config.Directory, nil)
	require.True(t, written.Equal(theirs), "somebody has put another one there")
}

func TestAClusterWithTwoNamesIsToldOf(t *testing.T) {
	f := newFleet(t)
	for name, uid := range map[string]string{"east": "u-1", "west": "u-2", "east-again": "u-1", "unknown": "", "unknown-too": ""} {
		m := newMember(f, name)
		m.configure(clusters(name).MemberClusters[name], nil, nil)
		m.origin.uid = uid
		f.members[name] = m
	}
	var told []api.Problem
	f.config.OnProblems = func(problems []api.Problem) { told = problems }
	f.tell()
	require.Len(t, told, 2)
	require.Equal(t, "warning SameCluster: MemberCluster east spec.source: this is the cluster of MemberCluster east-again too: its namespace kube-system has the same UID; "+
		"a Pod that a tunnel takes through both counts twice; use one MemberCluster for each cluster, or take care that no tunnel takes the same Pods through both", told[0].String())
	require.Equal(t, "MemberCluster east-again", told[1].Object.String())
	f.members["east-again"].origin.uid = "u-3"
	f.tell()
	require.Empty(t, told)
}

// TestACredentialThatHasEndedIsNotSaidToBeInForce: it may be the one that is refused.
func TestACredentialThatHasEndedIsNotSaidToBeInForce(t *testing.T) {
	for expires, want := range map[time.Duration]string{
		-time.Hour: "it has expired", time.Hour: "it has expired; the credential that was in force before still is",
	} {
		m := newMember(newFleet(t), "east")
		m.cluster = &v1alpha1.MemberCluster{}
		m.cluster.Spec.Source.Kubeconfig = &v1alpha1.KubeconfigSource{File: "east"}
		m.refusal = []api.Problem{{Code: credential.CodeCredentialExpired, Severity: api.Error, Message: "it has expired"}}
		m.active = &attempt{}
		m.active.credentials.Store(&[]*credential.Credential{{Expires: time.Now().Add(expires)}})
		require.Equal(t, want, m.problems()[0].Message)
	}
}
