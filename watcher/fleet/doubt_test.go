package fleet

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/kube"
)

// TestWhatIsRememberedIsDoubtedForAMoment, for Envoys may know better; and longer where the cluster answers.
func TestWhatIsRememberedIsDoubtedForAMoment(t *testing.T) {
	loaded, _ := credential.Parse([]byte(kubeconfigOf(token(time.Hour, time.Now()))), credential.Origin{Cluster: "east"})
	for name, test := range map[string]struct {
		connecting bool
		least      time.Duration
	}{"there is no credential": {false, doubtAway}, "it is being connected to": {true, doubtListing}} {
		t.Run(name, func(t *testing.T) {
			store := remembering(t, loaded)
			defer func() { require.NoError(t, store.Close()) }()
			lanes := watcher.NewLanes(nil)
			m := newMember(New(Config{Directory: t.TempDir(), Lanes: lanes, Store: store, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)}), "east")
			m.cluster = &v1alpha1.MemberCluster{}
			m.cluster.Spec.Source.Kubeconfig = &v1alpha1.KubeconfigSource{File: "east.kubeconfig"}
			m.cluster.Spec.AllowedTunnels = []v1alpha1.AllowedTunnels{{From: []string{"*"}, To: []string{"*"}}}
			lanes.Put(&snapshot.Config{MemberClusters: map[string]*v1alpha1.MemberCluster{"east": m.cluster}}, nil, nil)
			m.recall()
			remembered := func() bool {
				t.Helper()
				cfg := lanes.Take().Config
				require.NotNil(t, cfg)
				require.True(t, cfg.Synced["east"].Covers("shop"))
				return cfg.Synced["east"].IsRemembered()
			}
			require.True(t, remembered())
			if test.connecting {
				a, err := m.attempt(target{credential: loaded, scope: snapshot.Everything})
				require.NoError(t, err)
				defer a.client.Close()
				m.setActive(a)
			}
			learned := &watcher.Facts{Scope: snapshot.Everything, Services: []*pods.Service{{Key: web("learned")}}}
			m.put(kube.Change{Facts: learned})
			require.True(t, remembered())
			m.settle(m.doubt.since.Add(test.least - time.Millisecond))
			require.Nil(t, lanes.Take().Config)
			m.settle(m.doubt.since.Add(test.least))
			require.False(t, remembered())
			m.put(kube.Change{Facts: learned})
			require.Nil(t, lanes.Take().Config, "nothing changed")
		})
	}
}
