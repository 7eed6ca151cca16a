package memory

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestHoldbacksAreRememberedUntilThereAreNone(t *testing.T) {
	dir := t.TempDir()
	store, err := Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	file := filepath.Join(dir, "pods", ".holdbacks")
	all := []api.Holdback{
		{
			View: "edge/front", Object: api.ObjectRef{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "edge", Name: "a"},
			Podway: "v1", Rejected: "1f", Form: json.RawMessage(`{"spec":{}}`), Type: "type", Name: "gateway/edge/front/80", Version: "2f",
			Message: "no good", Field: "spec.rules[0]", Nodes: []string{"one", "two"}, At: someTime,
		},
		{View: "edge/front", Listener: "http", Refused: true, Everywhere: true, Alone: true, Nodes: []string{}, At: someTime},
	}
	require.NoError(t, store.SaveHoldbacks(all))
	require.NoError(t, store.SaveHolds(someHolds()), "which is another file")
	again, err := store.LoadHoldbacks()
	require.NoError(t, err)
	require.Equal(t, all, again)
	names, err := store.List()
	require.NoError(t, err)
	require.Empty(t, names, "it is no cluster")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	require.NoError(t, os.WriteFile(file, []byte("podway-holdbacks 2 0 x\n"), 0o600))
	_, err = store.LoadHoldbacks()
	require.ErrorContains(t, err, "the holdbacks that were remembered are not used: "+file+": was written by a newer podway")
	require.NoError(t, store.SaveHoldbacks(nil))
	again, err = store.LoadHoldbacks()
	require.NoError(t, err)
	require.Empty(t, again)
}
