package memory

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/snapshot"
)

// holding is a hold of the Pods of those names.
func holding(lost int, names ...string) Hold {
	hold := Hold{Cluster: "east", Tunnel: types.NamespacedName{Namespace: "edge", Name: "web"}, Since: someTime, Until: someTime, Lost: lost, Of: 20}
	for _, name := range names {
		hold.Pods = append(hold.Pods, HeldPod{Namespace: "shop", Name: name})
	}
	return hold
}

// TestHoldsAreSavedTogetherWithThePods: podway may be killed between any two files.
func TestHoldsAreSavedTogetherWithThePods(t *testing.T) {
	store, err := Open(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	var now []Hold
	onDisk := func() []Hold {
		t.Helper()
		holds, err := store.LoadHolds()
		require.NoError(t, err)
		return holds
	}
	services := func() int {
		t.Helper()
		cluster, err := store.Load("east")
		require.NoError(t, err)
		return len(cluster.Services)
	}
	var together *Together
	var before []Hold
	keeper := NewKeeper(KeeperConfig{Store: store, Before: func(cluster string) error {
		err := together.Cover(cluster)
		before = onDisk()
		return err
	}})
	cluster := small()
	require.NoError(t, store.Save(cluster))
	require.NoError(t, store.SaveHolds([]Hold{holding(2, "a", "b")}))
	together = NewTogether(store, keeper, func() []Hold { return now }, onDisk())
	keeper.Note("east", func() *Cluster { return cluster })

	changed := *small()
	changed.Services = changed.Services[:1]
	changed.Sets = changed.Sets[:1]
	cluster = &changed
	now = []Hold{holding(2, "b", "c"), holding(0, "d")}
	require.NoError(t, together.Save(now))
	require.Equal(t, []Hold{holding(2, "b", "c", "a")}, before, "one that is held no more is among them until the file of its cluster says that it is ready")
	require.Equal(t, 1, services(), "the cluster is saved though its time had not come")
	require.Equal(t, now, onDisk())

	now = []Hold{holding(2, "b", "c", "e")}
	keeper.SaveNow("east")
	require.Equal(t, []Hold{holding(0, "d"), holding(2, "b", "c", "e")}, before, "one that is held is among them before the file of its cluster says that it is not ready")
	require.NoError(t, together.Save(nil))
	require.Equal(t, now, onDisk(), "what has begun since is not forgotten")
	now = nil
	require.NoError(t, together.Save(nil))
	require.Empty(t, onDisk())
	keeper.SaveNow("west") // nothing was noted of it
}

// TestPodsThatAreHeldAreNotSavedWithoutTheirHold: there is room for the smaller of the two files alone, and after a restart all of them would be out.
func TestPodsThatAreHeldAreNotSavedWithoutTheirHold(t *testing.T) {
	store, err := Open(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	inTheWay := filepath.Join(store.path, holds.file)
	require.NoError(t, os.MkdirAll(filepath.Join(inTheWay, "full"), 0o700))
	var together *Together
	keeper := NewKeeper(KeeperConfig{Store: store, Logger: slog.New(slog.DiscardHandler), Before: func(cluster string) error { return together.Cover(cluster) }})
	together = NewTogether(store, keeper, func() []Hold { return []Hold{holding(2, "a", "b")} }, nil)
	west := &Cluster{Name: "west", Scope: snapshot.Everything}
	keeper.Note("east", small)
	keeper.Note("west", func() *Cluster { return west })
	saved := func() []string {
		keeper.SaveNow("east")
		keeper.SaveNow("west")
		names, err := store.List()
		require.NoError(t, err)
		return names
	}
	require.Equal(t, []string{"west"}, saved(), "nothing of it is held")
	require.ErrorContains(t, together.Cover("east"), "the holds cannot be written")
	require.NoError(t, os.RemoveAll(inTheWay))
	require.Equal(t, []string{"east", "west"}, saved(), "it is tried again")
}
