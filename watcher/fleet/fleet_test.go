package fleet

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatWasKeptIsUsedOnlyForTheSameCluster(t *testing.T) {
	here := &credential.Credential{Server: "https://east.example:6443"}
	kept := origin{uid: "uid-1", source: here.Fingerprint()}
	require.Empty(t, kept.foreign(here, ""))
	require.Empty(t, kept.foreign(here, "uid-1"))
	require.Empty(t, kept.foreign(nil, ""), "a kubeconfig that cannot be read says nothing against it")
	there := &credential.Credential{Server: "https://west.example:6443"}
	require.Equal(t, "the kubeconfig leads to another server than when it was saved", kept.foreign(there, ""))
	require.Empty(t, kept.foreign(there, "uid-1"), "the UID says that it is the same")
	require.Equal(t, "it is of a cluster with another UID than spec.clusterUID", kept.foreign(here, "uid-2"))
}

func TestOnlyWhatTunnelsMayUseIsRecalled(t *testing.T) {
	key := func(namespace string) pods.ServiceKey {
		return pods.ServiceKey{Cluster: "east", Namespace: namespace, Name: "web"}
	}
	kept := &memory.Cluster{Scope: snapshot.Everything}
	for _, namespace := range []string{"a", "b"} {
		kept.Services = append(kept.Services, &pods.Service{Key: key(namespace)})
		kept.Sets = append(kept.Sets, &pods.Set{Key: key(namespace)})
	}
	kept.Sets = append(kept.Sets, &pods.Set{Key: pods.ServiceKey{Cluster: "east", Namespace: "b", Name: "without-a-service"}})
	known := within(kept, &snapshot.Scope{Namespaces: []string{"b", "c"}})
	require.Equal(t, []string{"b", "c"}, known.Scope.Namespaces)
	require.Len(t, known.Services, 1)
	require.Len(t, known.Sets, 1)
	require.NotNil(t, known.Sets[key("b")])
}

func TestTokensAreRenewedInTheMiddleOfTheirLife(t *testing.T) {
	require.Zero(t, renewAt(&credential.Credential{Token: "opaque"}))
	issued := time.Now().Add(-time.Hour).Truncate(time.Second)
	claims := fmt.Sprintf(`{"sub": "system:serviceaccount:podway:podway", "iat": %d, "exp": %d}`, issued.Unix(), issued.Add(4*time.Hour).Unix())
	part := base64.RawURLEncoding.EncodeToString
	made := (&credential.Credential{}).WithToken(part([]byte(`{"alg": "none"}`)) + "." + part([]byte(claims)) + "." + part([]byte("signature")))
	require.Equal(t, issued.Add(2*time.Hour).UTC(), renewAt(made).UTC())
}
