package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWithoutKnowingWhoWrites is where the system does not say who has a file open.
func TestWithoutKnowingWhoWrites(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "10")})
	path := filepath.Join(dir, "a.yaml")
	r := newReader([]string{dir}, Options{}, nil)
	r.writing = func(*os.File) (bool, bool) { return false, false }
	weight := func() int32 {
		t.Helper()
		_, err := r.refresh(true, map[string]bool{})
		require.NoError(t, err)
		return weightOf(r.state, "a")
	}
	require.EqualValues(t, 10, weight())

	begun := time.Now()
	write(t, path, tunnel("a", "11"))
	require.EqualValues(t, 10, weight(), "it has just changed")
	require.Greater(t, r.retry, time.Duration(0), "it is looked at again")
	require.Eventually(t, func() bool { return weight() == 11 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, time.Since(begun), stillFor)
	require.Zero(t, r.retry)

	write(t, path+"~", tunnel("a", "12"))
	require.NoError(t, os.Rename(path+"~", path))
	require.EqualValues(t, 12, weight(), "a file with a new name is whole")

	begun = time.Now()
	write(t, path, "")
	require.Eventually(t, func() bool { weight(); return len(r.state.Config.Problems) > 0 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, time.Since(begun), emptyFor)
	require.EqualValues(t, 12, weight(), "a write that failed leaves it empty")
	require.Equal(t, []string{"a.yaml: error Unreadable: the file was emptied, as by a write for which the disk had no room; its last good content stays in force; " +
		"write it again, or remove it with all that was in it"}, problemsOf(&r.state, filepath.Dir(path)))
	_, err := r.refresh(true, map[string]bool{path: true})
	require.NoError(t, err)
	require.EqualValues(t, 12, weight())
	write(t, path+"~", "")
	require.NoError(t, os.Rename(path+"~", path))
	require.EqualValues(t, -1, weight(), "a new file that is empty is meant to be")
}

// TestTheFirstReadWaitsForWhoWrites: podway may be started anew while somebody writes in place.
func TestTheFirstReadWaitsForWhoWrites(t *testing.T) {
	half := strings.TrimSuffix(tunnel("a", "10"), "0\n")
	for name, ends := range map[string]bool{"who ends": true, "who does not": false} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, map[string]string{"a.yaml": half})
			r := newReader([]string{dir}, Options{}, nil)
			tries := 0
			r.writing = func(*os.File) (bool, bool) {
				if tries++; ends && tries == 3 {
					write(t, filepath.Join(dir, "a.yaml"), tunnel("a", "10"))
				}
				return !ends || tries <= 3, true
			}
			begun := time.Now()
			_, err := r.refresh(true, map[string]bool{})
			require.NoError(t, err)
			if ends {
				require.EqualValues(t, 10, weightOf(r.state, "a"))
				return
			}
			require.EqualValues(t, 1, weightOf(r.state, "a"), "there is nothing else")
			require.GreaterOrEqual(t, time.Since(begun), writtenAtFirstFor)
			require.Positive(t, r.retry, "it is looked at again")
		})
	}
}

func TestFileThatVanishesMayComeBack(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "10"), "real/b.yaml": tunnel("b", "10"), "c.yaml": tunnel("c", "10")})
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	r := newReader([]string{dir}, Options{}, nil)
	weight := func(name string) int32 {
		t.Helper()
		_, err := r.refresh(true, map[string]bool{})
		require.NoError(t, err)
		return weightOf(r.state, name)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	require.EqualValues(t, 10, weight("a"))

	require.NoError(t, os.Rename(at("a.yaml"), at("a.yaml~")))
	require.EqualValues(t, 10, weight("a"), "an editor makes room for what it is about to write")
	require.NotZero(t, r.retry)
	write(t, at("a.yaml"), tunnel("a", "11"))
	require.Eventually(t, func() bool { return weight("a") == 11 }, patience, time.Millisecond)
	require.Empty(t, r.roots[0].vanished)

	begun := time.Now()
	require.NoError(t, os.Remove(at("a.yaml")))
	require.Eventually(t, func() bool { return weight("a") == -1 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, time.Since(begun), vanishedFor)

	require.NoError(t, os.Rename(at("c.yaml"), at("d.yaml")))
	require.EqualValues(t, 10, weight("c"))
	require.Empty(t, r.state.Config.Problems, "a file that is moved is not there twice")
	require.NotContains(t, r.roots[0].files, at("c.yaml"))
}

// TestLinkThatLeadsNowhereKeepsWhatItLedTo, whether to a file or to a directory.
func TestLinkThatLeadsNowhereKeepsWhatItLedTo(t *testing.T) {
	dir := directory(t, map[string]string{".one/a.yaml": tunnel("a", "10"), ".two/b.yaml": tunnel("b", "10")})
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.Symlink(".one/a.yaml", at("a.yaml")))
	require.NoError(t, os.Symlink(".two", at("two")))
	f := follow(t, dir)
	f.untilWeight(10)
	require.NoError(t, os.Rename(at(".one"), at(".away")))
	state := f.untilProblem("a.yaml: error Unreadable: the symbolic link leads nowhere: no such file or directory; its last good content stays in force")
	require.EqualValues(t, 10, weightOf(state, "a"))
	require.NoError(t, os.Rename(at(".away"), at(".one")))
	f.until(func(s State) bool { return len(s.Config.Problems) == 0 })

	begun := time.Now()
	require.NoError(t, os.Symlink("nothing", at("c.yaml")))
	f.untilProblem("c.yaml: error Unreadable: the symbolic link leads nowhere: no such file or directory; correct or remove the link")
	write(t, at("c.yaml~"), tunnel("c", "10"))
	require.NoError(t, os.Rename(at("c.yaml~"), at("c.yaml")))
	f.until(func(s State) bool { return len(s.Config.Problems) == 0 && weightOf(s, "c") == 10 })
	require.Less(t, time.Since(begun), defaultRescan/2, "nobody waits until all is looked at again")

	require.NoError(t, os.Rename(at(".two"), at(".away")))
	state = f.untilProblem("two: error Unreadable: the directory cannot be read: no such file or directory; its last good content stays in force")
	require.EqualValues(t, 10, weightOf(state, "b"))
	require.NoError(t, os.Rename(at(".away"), at(".two")))
	write(t, at(".two/b.yaml"), tunnel("b", "11"))
	state = f.until(func(s State) bool { return len(s.Config.Problems) == 0 && weightOf(s, "b") == 11 })
	require.EqualValues(t, 10, weightOf(state, "a"))
	require.NoError(t, os.Remove(at("two")))
	f.until(func(s State) bool { return weightOf(s, "b") == -1 })
}

func TestFileThatIsOpenForEver(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "10")})
	path := filepath.Join(dir, "a.yaml")
	r := newReader([]string{dir}, Options{}, nil)
	_, err := r.refresh(true, map[string]bool{})
	require.NoError(t, err)
	r.writing = func(*os.File) (bool, bool) { return true, true }
	write(t, path, tunnel("a", "11"))
	_, err = r.refresh(true, map[string]bool{})
	require.NoError(t, err)
	require.EqualValues(t, 10, weightOf(r.state, "a"))
	r.settling[path].since = time.Now().Add(-writtenFor)
	_, err = r.refresh(true, map[string]bool{})
	require.NoError(t, err)
	require.EqualValues(t, 11, weightOf(r.state, "a"))
	require.Empty(t, r.settling)
}

func TestWritersAreSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, "x")
	reading, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, reading.Close()) }()
	writing, sure := beingWritten(reading)
	require.False(t, writing)
	if !sure {
		return // This file system does not tell.
	}
	writer, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	writing, sure = beingWritten(reading)
	require.True(t, writing && sure)
	require.NoError(t, writer.Close())
	writing, sure = beingWritten(reading)
	require.True(t, !writing && sure)
}

func TestNamedPipeIsNoFile(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": tunnel("a", "10")})
	r := newReader([]string{dir}, Options{}, nil)
	out, ok := r.readOnce(found{path: dir, resolved: dir}, nil, 1000)
	require.True(t, ok)
	require.True(t, strings.HasSuffix(out.problem.Message, "it is not a regular file"), out.problem.Message)
}
