//go:build linux

package files

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFilesAreReadOnceTheyCan has no descriptor left for a moment, as many connections may have it. Nobody notifies of its end.
func TestFilesAreReadOnceTheyCan(t *testing.T) {
	f := follow(t, directory(t, map[string]string{"a.yaml": tunnel("a", "10"), "sub/c.yaml": tunnel("c", "10"), "c.yaml": memberCluster("east"), "east/a.yaml": objects("10.0.0.1")}))
	f.untilWeight(10)
	coming := directory(t, map[string]string{"b.yaml": tunnel("b", "10")})
	var open []*os.File
	for _, name := range []string{"a.yaml", "east/a.yaml"} {
		file, err := os.OpenFile(f.path(name), os.O_WRONLY, 0)
		require.NoError(t, err)
		defer func() { _ = file.Close() }()
		open = append(open, file)
	}
	var whole syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &whole))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: whole.Max}))
	restore := func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &whole)) }
	defer restore()
	for i, text := range []string{tunnel("a", "20"), objects("10.0.0.2")} {
		_, err := open[i].WriteAt([]byte(text), 0)
		require.NoError(t, err)
	}
	require.NoError(t, os.Rename(coming, f.path("sub/new")))
	f.until(func(s State) bool {
		told := strings.Join(problemsOf(&s, f.dir), "\n")
		return strings.Contains(told, "a.yaml: error Unreadable: the file cannot be read: too many open files; its last good content stays in force") &&
			strings.Contains(told, "sub: error Unreadable: the directory cannot be read: too many open files; its last good content stays in force")
	})
	require.Equal(t, int32(10), weightOf(f.last, "a"))
	require.Equal(t, int32(10), weightOf(f.last, "c"))
	restore()
	f.until(func(s State) bool {
		return weightOf(s, "a") == 20 && weightOf(s, "b") == 10 && len(s.Config.Problems) == 0
	})
}
