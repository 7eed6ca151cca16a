package memory

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFilesOfTheConfigurationAreRememberedUntilThereAreNone(t *testing.T) {
	dir := t.TempDir()
	store, err := Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	kept, err := store.LoadConfiguration()
	require.NoError(t, err)
	require.Empty(t, kept)

	all := []File{{Path: "/etc/podway/a.yaml", Packed: []byte("\x00\xff")}, {Path: "/etc/podway/b.yaml", Packed: []byte("b")}}
	require.NoError(t, store.SaveConfiguration(all))
	kept, err = store.LoadConfiguration()
	require.NoError(t, err)
	require.Equal(t, all, kept)
	names, err := store.List()
	require.NoError(t, err)
	require.Empty(t, names, "files are no cluster")

	file := filepath.Join(dir, "pods", ".configuration")
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, good[:len(good)-1], 0o600))
	_, err = store.LoadConfiguration()
	require.ErrorContains(t, err, "the files of the configuration that were remembered are not used: "+file+": is torn")

	require.NoError(t, store.SaveConfiguration(nil))
	require.NoFileExists(t, file)
}
