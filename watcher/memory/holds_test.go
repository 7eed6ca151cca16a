package memory

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

func someHolds() []Hold {
	return []Hold{{
		Cluster: "east", Tunnel: types.NamespacedName{Namespace: "edge", Name: "web"}, Since: someTime, Until: someTime.Add(time.Minute), Lost: 2, Of: 3,
		Pods: []HeldPod{{Namespace: "default", Name: "a", UID: "1"}, {Address: netip.MustParseAddr("fd00::1")}},
	}}
}

func TestHoldsAreRememberedUntilThereAreNone(t *testing.T) {
	dir := t.TempDir()
	store, err := Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	holds, err := store.LoadHolds()
	require.NoError(t, err)
	require.Empty(t, holds)
	require.NoError(t, store.SaveHolds(nil))

	require.NoError(t, store.SaveHolds(someHolds()))
	holds, err = store.LoadHolds()
	require.NoError(t, err)
	require.Equal(t, someHolds(), holds)
	names, err := store.List()
	require.NoError(t, err)
	require.Empty(t, names, "holds are no cluster")
	info, err := os.Stat(filepath.Join(dir, "pods", ".holds"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	require.NoError(t, store.SaveHolds(nil))
	holds, err = store.LoadHolds()
	require.NoError(t, err)
	require.Empty(t, holds)
}

func TestHoldsThatAreNotAsTheyWereWrittenAreNotUsed(t *testing.T) {
	dir := t.TempDir()
	store, err := Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	file := filepath.Join(dir, "pods", ".holds")
	require.NoError(t, store.SaveHolds(someHolds()))
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)-2] ^= 1
	for name, test := range map[string]struct {
		content []byte
		message string
	}{
		"empty":            {nil, "is torn"},
		"torn":             {good[:len(good)-1], "is torn"},
		"flipped":          {flipped, "does not have the checksum"},
		"Pods":             {frame(magic, []byte("[]")), "is damaged, or was not written by podway"},
		"newer":            {[]byte("podway-holds 2 0 x\n"), "was written by a newer podway"},
		"senseless":        {frame(magicHolds, []byte(`[{"cluster": 1}]`)), "has the right checksum but makes no sense"},
		"of another shape": {frame(magicHolds, []byte(`[{"rows": []}]`)), "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, test.content, 0o600))
			_, err := store.LoadHolds()
			require.ErrorContains(t, err, "the holds that were remembered are not used: "+file)
			require.ErrorContains(t, err, test.message)
			require.NoError(t, store.SaveHolds(someHolds()))
			_, err = store.LoadHolds()
			require.NoError(t, err)
		})
	}
}
