package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/watcher/memory"
)

// loadRemembering reads a directory once, with what an earlier process left, and returns what is left for the next.
func loadRemembering(t *testing.T, dir string, left []memory.File) (*State, []memory.File) {
	t.Helper()
	remembered := NewMemory(left)
	state, err := Load([]string{dir}, Options{Memory: remembered})
	require.NoError(t, err)
	return state, remembered.Now()
}

// TestWhatWasGoodBeforeARestartStandsInForWhatIsBroken: Envoys have it still, and would lose it.
func TestWhatWasGoodBeforeARestartStandsInForWhatIsBroken(t *testing.T) {
	const stays = "its last good content stays in force"
	good := tunnel("a", "10") + "---\n" + tunnel("b", "10")
	for name, test := range map[string]struct {
		text, told string
		weightOfB  int32
	}{
		"half written":     {good[:len(good)-len("          10\n")] + "\n  - {", stays, 10},
		"emptied":          {"", stays, 10},
		"no UTF-8":         {"\xff" + good, stays, 10},
		"one bad object":   {tunnel("a", "many") + "---\n" + tunnel("b", "20"), "the object's last good version stays in force", 20},
		"without its name": {strings.Replace(good, "name: a\n", "\n", 1), "a Tunnel has no name", 10},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, map[string]string{"tunnels.yaml": good, "east.yaml": memberCluster("east"), "east/objects.yaml": objects("10.0.0.1")})
			before, left := loadRemembering(t, dir, nil)
			require.Empty(t, before.Config.Problems)
			require.Len(t, left, 2, "objects of clusters are no configuration")

			write(t, filepath.Join(dir, "tunnels.yaml"), test.text)
			for range 2 { // and over another restart
				state, again := loadRemembering(t, dir, left)
				require.Equal(t, left, again)
				require.Contains(t, strings.Join(problemsOf(state, dir), "\n"), test.told)
				require.EqualValues(t, 10, *state.Config.Tunnels[edge("a")].Spec.Services[0].PodWeight)
				require.Equal(t, test.weightOfB, *state.Config.Tunnels[edge("b")].Spec.Services[0].PodWeight)
			}
		})
	}
}

func TestBrokenMemberClustersStayOverARestart(t *testing.T) {
	dir := directory(t, map[string]string{"tunnel.yaml": tunnel("a", "10"), "east.yaml": memberCluster("east"), "east/objects.yaml": objects("10.0.0.1")})
	before, left := loadRemembering(t, dir, nil)
	write(t, filepath.Join(dir, "east.yaml"), "{")
	state, _ := loadRemembering(t, dir, left)
	require.Equal(t, before.Config.MemberClusters, state.Config.MemberClusters)
	require.Equal(t, before.Pods, state.Pods)
}

func TestWhatChangedWhileNobodyLookedIsInForce(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "10"), "b.yaml": tunnel("b", "10"), "c.yaml": tunnel("c", "10")})
	_, left := loadRemembering(t, dir, nil)
	write(t, filepath.Join(dir, "a.yaml"), tunnel("a", "20"))
	require.NoError(t, os.Remove(filepath.Join(dir, "b.yaml")))
	write(t, filepath.Join(dir, "c.yaml"), "# nothing\n")
	state, left := loadRemembering(t, dir, left)
	require.Empty(t, state.Config.Problems)
	require.Len(t, state.Config.Tunnels, 1)
	require.EqualValues(t, 20, *state.Config.Tunnels[edge("a")].Spec.Services[0].PodWeight)

	// What was taken out does not come back with a file that is broken.
	write(t, filepath.Join(dir, "b.yaml"), "{")
	write(t, filepath.Join(dir, "c.yaml"), "{")
	state, _ = loadRemembering(t, dir, left)
	require.Len(t, state.Config.Tunnels, 1)
}

func TestABrokenFileThatComesLaterIsANewOne(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "10"), "b.yaml": tunnel("b", "10")})
	_, left := loadRemembering(t, dir, nil)
	require.NoError(t, os.Remove(filepath.Join(dir, "b.yaml")))
	remembered := NewMemory(left)
	r := newReader([]string{dir}, Options{Memory: remembered}, nil)
	_, err := r.refresh(true, map[string]bool{})
	require.NoError(t, err)
	<-remembered.Changed()
	require.Len(t, remembered.Now(), 1)
	write(t, filepath.Join(dir, "b.yaml"), "{")
	_, err = r.refresh(true, map[string]bool{})
	require.NoError(t, err)
	require.Len(t, r.state.Config.Tunnels, 1)
}

func TestFilesThatMayHoldKeysAreNotRemembered(t *testing.T) {
	certificate, key := pairOf(t)
	dir := directory(t, map[string]string{
		"secret.yaml": tlsSecret(certificate, key) + "---\n" + tunnel("a", "10"),
		"east.yaml":   "apiVersion: v1\nkind: Config\nusers: [{name: a, user: {token: b}}]\n",
	})
	state, left := loadRemembering(t, dir, nil)
	require.NotNil(t, state.Config.Secrets[edge("a")])
	require.Empty(t, left)
	write(t, filepath.Join(dir, "tunnel.yaml"), tunnel("b", "10"))
	_, left = loadRemembering(t, dir, nil)
	require.Len(t, left, 1)
	write(t, filepath.Join(dir, "tunnel.yaml"), tlsSecret(certificate, key))
	_, left = loadRemembering(t, dir, left)
	require.Empty(t, left)
}

// TestALimitThatIsLessNow leaves no half of what was good before.
func TestALimitThatIsLessNow(t *testing.T) {
	good := tunnel("a", "10") + "---\n" + tunnel("b", "10")
	dir := directory(t, map[string]string{"tunnels.yaml": good})
	_, left := loadRemembering(t, dir, nil)
	state, err := Load([]string{dir}, Options{Memory: NewMemory(left), MaxFileBytes: int64(len(tunnel("a", "10")) + 4)})
	require.NoError(t, err)
	require.Empty(t, state.Config.Tunnels)
	require.Len(t, state.Config.Problems, 1)
}
