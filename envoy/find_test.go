package envoy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func writeExecutable(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
}

func TestFindLooksAtEnvironmentThenPathThenCache(t *testing.T) {
	root, path, explicit := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "mine")
	cached := filepath.Join(root, ".cache", "envoy", Version, "envoy")
	t.Setenv("PATH", path)

	_, err := find("", []string{root})
	require.ErrorContains(t, err, "run `make envoy` in podway's repository, or set ENVOY to an Envoy "+Version+" binary")

	writeExecutable(t, cached)
	found, err := find("", []string{t.TempDir(), root})
	require.NoError(t, err)
	require.Equal(t, cached, found)

	writeExecutable(t, filepath.Join(path, "envoy"))
	found, err = find("", []string{root})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(path, "envoy"), found)

	writeExecutable(t, explicit)
	found, err = find(explicit, []string{root})
	require.NoError(t, err)
	require.Equal(t, explicit, found)
}

func TestFindRefusesAnExplicitPathThatCannotRun(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nowhere")
	_, err := find(missing, nil)
	require.EqualError(t, err, "$ENVOY: "+missing+": no such file or directory; set it to an Envoy binary, or unset it")

	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, nil, 0o644))
	_, err = find(text, nil)
	require.EqualError(t, err, "$ENVOY: "+text+" is not an executable file; set it to an Envoy binary, or unset it")
}

func TestCacheIsThatOfTheModuleAndOfNoFolderAbove(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "module", "a", "b")
	require.NoError(t, os.MkdirAll(deep, 0o755))
	require.Equal(t, deep, moduleRoot(deep))
	require.NoError(t, os.WriteFile(filepath.Join(root, "module", "go.mod"), nil, 0o644))
	require.Equal(t, filepath.Join(root, "module"), moduleRoot(deep))
}
