package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
)

// follower follows a directory, and lets a test wait for States.
type follower struct {
	t      *testing.T
	dir    string
	states chan State
	last   State
}

const patience = 2 * time.Minute

// follow runs a Source until the test ends. It does not look around by itself, so that a test sees what notifications do.
func follow(t *testing.T, dir string, change ...func(*Config)) *follower {
	t.Helper()
	f := &follower{t: t, dir: dir, states: make(chan State, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	config := Config{Directory: dir, Rescan: time.Hour, OnState: func(s State) { f.states <- s }}
	for _, c := range change {
		c(&config)
	}
	f.run(ctx, cancel, New(config))
	return f
}

func (f *follower) run(ctx context.Context, cancel context.CancelFunc, source *Source) {
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		require.NoError(f.t, <-done)
	})
}

// until waits for a State for which a condition holds.
func (f *follower) until(holds func(State) bool) State {
	f.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case f.last = <-f.states:
			if holds(f.last) {
				return f.last
			}
		case <-deadline:
			f.t.Fatalf("the State never came; the problems of the last one: %v", f.last.Config.Problems)
		}
	}
}

// untilWeight waits until the tunnel a has a weight.
func (f *follower) untilWeight(weight int32) State {
	f.t.Helper()
	return f.until(func(s State) bool { return weightOf(s, "a") == weight })
}

// weightOf is the weight of a tunnel, -1 where there is none.
func weightOf(s State, name string) int32 {
	if t := s.Config.Tunnels[edge(name)]; t != nil {
		return *t.Spec.Services[0].PodWeight
	}
	return -1
}

// untilProblem waits until there is a problem with a text in it.
func (f *follower) untilProblem(text string) State {
	f.t.Helper()
	return f.until(func(s State) bool { return strings.Contains(strings.Join(problemsOf(&s, f.dir), "\n"), text) })
}

func (f *follower) path(name string) string { return filepath.Join(f.dir, name) }

func TestFollowsChanges(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "10")})
	f := follow(t, dir)
	f.untilWeight(10)

	write(t, f.path("a.yaml"), tunnel("a", "11"))
	f.untilWeight(11)

	// Editors write beside it, and rename.
	write(t, f.path("a.yaml~"), tunnel("a", "12"))
	require.NoError(t, os.Rename(f.path("a.yaml~"), f.path("a.yaml")))
	f.untilWeight(12)

	// Others move the old one away first.
	require.NoError(t, os.Rename(f.path("a.yaml"), f.path("a.yaml.bak")))
	write(t, f.path("a.yaml"), tunnel("a", "13"))
	f.untilWeight(13)

	require.NoError(t, os.Remove(f.path("a.yaml")))
	f.untilWeight(-1)
	write(t, f.path("a.yaml"), tunnel("a", "14"))
	f.untilWeight(14)
}

func TestFollowsDirectories(t *testing.T) {
	f := follow(t, directory(t, nil))
	f.untilWeight(-1)
	write(t, f.path("deep/er/a.yaml"), tunnel("a", "10"))
	f.untilWeight(10)
	write(t, f.path("deep/er/a.yaml"), tunnel("a", "11"))
	f.untilWeight(11)
	require.NoError(t, os.Rename(f.path("deep"), f.path("deeper")))
	f.until(func(s State) bool {
		for _, origin := range s.Config.Origins {
			return origin.File == f.path("deeper/er/a.yaml")
		}
		return false
	})
	write(t, f.path("deeper/er/a.yaml"), tunnel("a", "12"))
	f.untilWeight(12)
	require.NoError(t, os.RemoveAll(f.path("deeper")))
	f.untilWeight(-1)
	write(t, f.path("deeper/er/a.yaml"), tunnel("a", "13"))
	f.untilWeight(13)
}

// TestFollowsConfigMapVolumes swaps a symbolic link as the kubelet does.
func TestFollowsConfigMapVolumes(t *testing.T) {
	dir := directory(t, map[string]string{
		"..2024_1/a.yaml": tunnel("a", "10"), "..2024_1/b.yaml": tunnel("b", "10"),
		"..2024_2/a.yaml": tunnel("a", "11"), "..2024_2/b.yaml": tunnel("b", "11"),
	})
	for link, target := range map[string]string{"..data": "..2024_1", "a.yaml": "..data/a.yaml", "b.yaml": "..data/b.yaml"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	f := follow(t, dir)
	f.untilWeight(10)
	require.NoError(t, os.Symlink("..2024_2", f.path("..data_tmp")))
	require.NoError(t, os.Rename(f.path("..data_tmp"), f.path("..data")))
	require.NoError(t, os.RemoveAll(f.path("..2024_1")))
	state := f.until(func(s State) bool { return weightOf(s, "a") != 10 })
	require.EqualValues(t, 11, weightOf(state, "a"))
	require.EqualValues(t, 11, weightOf(state, "b"), "all files of the volume change at once")
	require.Empty(t, state.Config.Problems)
}

// TestFollowsTheLinkToTheDirectory swaps a link on the way to the directory, as git-sync does.
func TestFollowsTheLinkToTheDirectory(t *testing.T) {
	top := directory(t, map[string]string{"one/conf/a.yaml": tunnel("a", "10"), "two/conf/a.yaml": tunnel("a", "11")})
	require.NoError(t, os.Symlink("one", filepath.Join(top, "current")))
	f := follow(t, filepath.Join(top, "current", "conf"))
	f.untilWeight(10)
	require.NoError(t, os.Symlink("two", filepath.Join(top, "next")))
	require.NoError(t, os.Rename(filepath.Join(top, "next"), filepath.Join(top, "current")))
	state := f.untilWeight(11)
	require.Empty(t, state.Config.Problems)
	write(t, filepath.Join(top, "two/conf/a.yaml"), tunnel("a", "12"))
	f.untilWeight(12)
}

// TestFilesThatPileUpAreReadTogether and not each on its own, for each time costs as much as there is configuration.
func TestFilesThatPileUpAreReadTogether(t *testing.T) {
	const more = 600
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "1")})
	first, goOn, whole := make(chan struct{}), make(chan struct{}), make(chan struct{})
	states := 0
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{t: t, dir: dir}
	f.run(ctx, cancel, New(Config{Directory: dir, Rescan: time.Hour, OnState: func(s State) {
		if states++; states == 1 {
			close(first)
			<-goOn
		}
		if len(s.Config.Tunnels) == 1+more {
			close(whole)
		}
	}}))
	<-first
	for i := range more {
		name := fmt.Sprintf("b-%d", i)
		write(t, f.path(name+".yaml"), tunnel(name, "1"))
	}
	close(goOn)
	select {
	case <-whole:
	case <-time.After(patience):
		t.Fatal("the files are not read")
	}
	require.Less(t, states, more/10, "States for %d files", more)
}

func TestHalfWrittenFileIsNotRead(t *testing.T) {
	text := tunnel("a", "100") + "---\n" + tunnel("b", "100")
	f := follow(t, directory(t, map[string]string{"a.yaml": text, "z.yaml": tunnel("z", "1")}))
	f.untilWeight(100)

	next := strings.ReplaceAll(text, "100", "90")
	file, err := os.OpenFile(f.path("a.yaml"), os.O_WRONLY|os.O_TRUNC, 0)
	require.NoError(t, err)
	defer func() { _ = file.Close() }() // closed below where the test gets that far
	for i, half := range []string{next[:20], next[20 : strings.Index(next, "---")-2], next[strings.Index(next, "---")-2:]} {
		_, err = file.WriteString(half)
		require.NoError(t, err)
		// Another file is a change that is handed on meanwhile.
		write(t, f.path("z.yaml"), tunnel("z", fmt.Sprint(i+2)))
		state := f.until(func(s State) bool { return weightOf(s, "z") == int32(i+2) })
		if i < 2 {
			require.EqualValues(t, 100, weightOf(state, "a"), "a file that is being written")
			require.EqualValues(t, 100, weightOf(state, "b"))
			require.Empty(t, state.Config.Problems)
		}
	}
	require.NoError(t, file.Close())
	state := f.untilWeight(90)
	require.EqualValues(t, 90, weightOf(state, "b"))
}

func TestFileThatStopsParsingStaysInForce(t *testing.T) {
	f := follow(t, directory(t, map[string]string{"a.yaml": tunnel("a", "10") + "---\n" + tunnel("b", "10")}))
	first := f.untilWeight(10)

	write(t, f.path("a.yaml"), tunnel("a", "11")+"---\n{")
	state := f.untilProblem("a.yaml:14: error InvalidYAML: the file is not valid YAML: did not find expected node content; its last good content stays in force; correct the YAML near that line")
	require.Same(t, first.Config.Tunnels[edge("a")], state.Config.Tunnels[edge("a")])
	require.Same(t, first.Config.Tunnels[edge("b")], state.Config.Tunnels[edge("b")])

	write(t, f.path("a.yaml"), tunnel("a", "11")+"\xff")
	f.untilProblem("begins no character; its last good content stays in force; save the file as UTF-8")

	write(t, f.path("a.yaml"), tunnel("a", "11"))
	state = f.untilWeight(11)
	require.Empty(t, state.Config.Problems)
	require.EqualValues(t, -1, weightOf(state, "b"), "what a good file no longer has is gone")
}

func TestRefusedObjectStaysInForceAsItWas(t *testing.T) {
	f := follow(t, directory(t, map[string]string{"a.yaml": tunnel("a", "10") + "---\n" + tunnel("b", "10")}))
	first := f.untilWeight(10)

	write(t, f.path("a.yaml"), "# moved\n"+tunnel("a", "101")+"---\n"+tunnel("b", "11"))
	state := f.untilProblem("a.yaml:13: error OutOfRange: Tunnel edge/a spec.services[0].podWeight: 101 is not within 0 to 100; the object's last good version stays in force; set it to a number from 0 to 100")
	require.Same(t, first.Config.Tunnels[edge("a")], state.Config.Tunnels[edge("a")])
	require.EqualValues(t, 11, weightOf(state, "b"))

	// While something has no readable name, what is missing may be just that.
	write(t, f.path("a.yaml"), strings.Replace(tunnel("a", "12"), "Tunnel", "Tunel", 1)+"---\n"+tunnel("b", "12"))
	state = f.untilProblem("did you mean Tunnel?")
	require.EqualValues(t, 10, weightOf(state, "a"))
	require.EqualValues(t, 12, weightOf(state, "b"))

	write(t, f.path("a.yaml"), tunnel("b", "12"))
	state = f.untilWeight(-1)
	require.Empty(t, state.Config.Problems)
	write(t, f.path("a.yaml"), tunnel("a", "101")+"---\n"+tunnel("b", "12"))
	state = f.untilProblem("101 is not within 0 to 100; set it")
	require.EqualValues(t, -1, weightOf(state, "a"), "nothing is left to stay in force")
}

func TestUnchangedObjectsKeepTheirPointers(t *testing.T) {
	f := follow(t, directory(t, map[string]string{
		"a.yaml": tunnel("a", "10") + "---\n" + tunnel("b", "10"), "c.yaml": tunnel("c", "10") + "---\n" + memberCluster("east"),
		"east/objects.yaml": objects("10.0.0.1"),
	}))
	first := f.untilWeight(10)

	write(t, f.path("a.yaml"), "# a comment moves everything\n"+strings.ReplaceAll(tunnel("b", "10"), "name: b", "name:   b")+"---\n"+tunnel("a", "11"))
	state := f.untilWeight(11)
	require.NotSame(t, first.Config, state.Config)
	require.Same(t, first.Config.Tunnels[edge("b")], state.Config.Tunnels[edge("b")])
	require.Same(t, first.Config.Tunnels[edge("c")], state.Config.Tunnels[edge("c")])
	require.Same(t, first.Config.MemberClusters["east"], state.Config.MemberClusters["east"])
	require.Same(t, first.Config.Services[httpbin], state.Config.Services[httpbin])
	require.Same(t, first.Pods[httpbin], state.Pods[httpbin])
	require.Empty(t, state.Changed)

	// A Pod's change leaves the configuration alone.
	write(t, f.path("east/objects.yaml"), objects("10.0.0.2"))
	next := f.until(func(s State) bool { return len(s.Changed) > 0 })
	require.Same(t, state.Config, next.Config)
	require.Equal(t, "10.0.0.2", next.Changed[httpbin].Pods[0].Address.String())

	// So does a label's, also where the Pods are in a file of their own.
	write(t, f.path("east/objects.yaml"), strings.Replace(objects("10.0.0.2"), "version: v1", "version: v2", 1))
	next = f.until(func(s State) bool { return len(s.Changed) > 0 })
	require.Equal(t, "v2", next.Changed[httpbin].Pods[0].Labels["version"])
	require.Same(t, state.Config, next.Config)

	require.NoError(t, os.Remove(f.path("east/objects.yaml")))
	next = f.until(func(s State) bool { return len(s.Gone) > 0 })
	require.Empty(t, next.Pods)
	require.Empty(t, next.Config.Services)
}

func TestDuplicateObject(t *testing.T) {
	f := follow(t, directory(t, map[string]string{"b.yaml": tunnel("a", "10"), "sub/a.yaml": tunnel("a", "11")}))
	state := f.untilWeight(10)
	require.Equal(t, []string{
		"sub/a.yaml:1: error DuplicateObject: Tunnel edge/a: the object is also at b.yaml:1, which is the one in force; remove one of the two",
	}, problemsOf(&state, f.dir))
	write(t, f.path("a.yaml"), tunnel("a", "12"))
	f.untilWeight(12)
	require.NoError(t, os.Remove(f.path("a.yaml")))
	require.NoError(t, os.Remove(f.path("b.yaml")))
	state = f.untilWeight(11)
	require.Empty(t, state.Config.Problems)
}

func TestDirectoryThatVanishesFreezes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "config")
	write(t, filepath.Join(dir, "a.yaml"), tunnel("a", "10"))
	f := follow(t, dir)
	f.untilWeight(10)
	require.NoError(t, os.Rename(dir, dir+".away"))
	state := f.untilProblem("no such file or directory; what was read of it stays in force; bring the directory back, or let podway read it")
	require.EqualValues(t, 10, weightOf(state, "a"))

	// An empty directory is what is left of an unmounted one.
	require.NoError(t, os.Mkdir(dir, 0o755))
	state = f.untilProblem("it is another directory now, and empty; what was read of it stays in force")
	require.EqualValues(t, 10, weightOf(state, "a"))

	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Rename(dir+".away", dir))
	write(t, filepath.Join(dir, "a.yaml"), tunnel("a", "11"))
	state = f.untilWeight(11)
	require.Empty(t, state.Config.Problems)
}

func TestObjectsComeAndVanish(t *testing.T) {
	f := follow(t, directory(t, map[string]string{"a.yaml": memberCluster("east")}))
	state := f.untilProblem("the objects of cluster east cannot be read: no such file or directory")
	require.Empty(t, state.Config.Synced)
	require.Empty(t, state.Pods)

	require.NoError(t, os.MkdirAll(f.path(".new"), 0o755))
	write(t, f.path(".new/objects.yaml"), objects("10.0.0.1"))
	require.NoError(t, os.Rename(f.path(".new"), f.path("east")))
	state = f.until(func(s State) bool { return s.Config.Synced["east"] != nil })
	require.Len(t, state.Pods, 1)
	require.Empty(t, state.Config.Problems)

	require.NoError(t, os.Rename(f.path("east"), f.path(".away")))
	state = f.untilProblem("no such file or directory; what was read of them stays in force")
	require.True(t, state.Config.Synced["east"].All)
	require.Len(t, state.Pods, 1)

	write(t, f.path("a.yaml"), tunnel("a", "10"))
	state = f.untilWeight(10)
	require.Empty(t, state.Pods)
	require.Empty(t, state.Config.Problems)
}

func TestRescanFindsWhatNobodyNotifiedOf(t *testing.T) {
	f := follow(t, directory(t, map[string]string{"a.yaml": tunnel("a", "10")}), func(c *Config) { c.Rescan = 10 * time.Millisecond })
	f.untilWeight(10)
	write(t, f.path("a.yaml"), tunnel("a", "11"))
	f.untilWeight(11)
}

// TestFollowsWithoutNotifications has the system give none at first: a machine has only so many, and other programs may have them all.
func TestFollowsWithoutNotifications(t *testing.T) {
	f := &follower{t: t, dir: directory(t, map[string]string{"a.yaml": tunnel("a", "10")}), states: make(chan State, 1000)}
	source := New(Config{Directory: f.dir, Rescan: time.Hour, OnState: func(s State) { f.states <- s }})
	refused, given := 0, make(chan struct{})
	source.newWatcher = func() (*fsnotify.Watcher, error) {
		if refused++; refused <= 2 {
			return nil, errors.New("too many open files")
		}
		close(given)
		return fsnotify.NewWatcher()
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.run(ctx, cancel, source)
	f.untilWeight(10)
	write(t, f.path("a.yaml"), tunnel("a", "11"))
	f.untilWeight(11)
	<-given
	write(t, f.path("a.yaml"), tunnel("a", "12"))
	f.untilWeight(12)
	write(t, f.path("a.yaml"), tunnel("a", "13"))
	f.untilWeight(13)
}

func TestRunOfADirectoryThatIsNotThere(t *testing.T) {
	err := New(Config{Directory: "/no/such/directory"}).Run(context.Background())
	require.EqualError(t, err, "/no/such/directory cannot be read: no such file or directory")
}

func TestLoadAndRunAgree(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.yaml": tunnel("a", "101") + "---\n" + memberCluster("east") + "---\n" + memberCluster("west"), "b.yaml": "{", "east/a.yaml": "a: b\n---\n" + objects("10.0.0.1"),
	})
	loaded := load(t, dir)
	state := follow(t, dir).until(func(State) bool { return true })
	require.NotEmpty(t, loaded.Config.Problems)
	require.Equal(t, loaded.Config.Problems, state.Config.Problems)
	require.Equal(t, loaded.Pods, state.Pods)
}
