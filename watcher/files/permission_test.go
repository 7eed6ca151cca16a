//go:build linux

package files

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// asNobody is set in a process of the test's own that gives up its rights: root may read everything.
const asNobody = "PODWAY_TEST_AS_NOBODY"

func TestPermissions(t *testing.T) {
	dir, err := os.MkdirTemp("", "podway")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for name, text := range map[string]string{
		"config/a.yaml": tunnel("a", "10") + "---\n" + memberCluster("east"), "config/secret.yaml": tunnel("b", "10"), "config/closed/a.yaml": tunnel("c", "10"),
		"config/east/a.yaml": objects("10.0.0.1"), "closed/a.yaml": tunnel("a", "10"),
	} {
		write(t, filepath.Join(dir, name), text)
	}
	for name, mode := range map[string]os.FileMode{
		"config": 0o755, "config/a.yaml": 0o644, // whatever the umask
		"config/secret.yaml": 0, "config/closed": 0, "config/east": 0, "closed": 0o311,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Chmod(path, mode))
		t.Cleanup(func() { require.NoError(t, os.Chmod(path, 0o755)) })
	}
	command := exec.Command(os.Args[0], "-test.run=^TestAsNobody$", "-test.v")
	command.Env = append(os.Environ(), asNobody+"="+dir)
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	var got []string
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, "> "); ok {
			got = append(got, strings.ReplaceAll(strings.TrimSpace(text), dir+"/", ""))
		}
	}
	require.Equal(t, []string{
		"config/closed: error Unreadable: the directory cannot be read: permission denied; let podway read and enter it, or remove it",
		"config/east: error Unreadable: MemberCluster east spec.source.objects.directory: the objects of cluster east cannot be read: permission denied; put them into that directory below the configuration directory",
		"config/secret.yaml: error Unreadable: the file cannot be read: permission denied; let podway read it, or remove it",
		"1 tunnels",
		"closed cannot be read: permission denied",
		fmt.Sprint(os.Geteuid() != 0), // the files are this user's
	}, got)
}

// TestAsNobody is the other process of TestPermissions.
func TestAsNobody(t *testing.T) {
	dir := os.Getenv(asNobody)
	if dir == "" {
		return
	}
	if os.Geteuid() == 0 {
		const nobody = 65534
		require.NoError(t, syscall.Setgroups(nil))
		require.NoError(t, syscall.Setgid(nobody))
		require.NoError(t, syscall.Setuid(nobody))
	}
	state := load(t, filepath.Join(dir, "config"))
	for _, p := range state.Config.Problems {
		fmt.Fprintln(os.Stdout, ">", p)
	}
	fmt.Fprintln(os.Stdout, ">", len(state.Config.Tunnels), "tunnels")
	_, err := Load([]string{filepath.Join(dir, "closed")}, Options{})
	fmt.Fprintln(os.Stdout, ">", err)
	// Who does not own a file is not told who writes to it.
	file, err := os.Open(filepath.Join(dir, "config/a.yaml"))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	_, sure := beingWritten(file)
	fmt.Fprintln(os.Stdout, ">", sure)
}

func TestPermissionThatIsGivenLater(t *testing.T) {
	if os.Geteuid() == 0 {
		return // TestPermissions shows what others see.
	}
	f := follow(t, directory(t, map[string]string{"a.yaml": tunnel("a", "10")}))
	f.untilWeight(10)
	require.NoError(t, os.Chmod(f.path("a.yaml"), 0))
	state := f.untilProblem("permission denied; its last good content stays in force")
	require.EqualValues(t, 10, weightOf(state, "a"))
	require.NoError(t, os.Chmod(f.path("a.yaml"), 0o644))
	state = f.until(func(s State) bool { return len(s.Config.Problems) == 0 })
	require.EqualValues(t, 10, weightOf(state, "a"))
}
