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
	require.Eventually(t, func() bool { return weight() == -1 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, time.Since(begun), emptyFor)
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
