package memory

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSavedIsLoadedByTheNextProcess(t *testing.T) {
	s, dir := openNew(t)
	_, err := s.Load("east")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "cluster east: nothing is remembered of it: file does not exist")
	save(t, s, small())
	require.Equal(t, small(), load(t, s, "east"))
	require.NoError(t, s.Close())
	require.Equal(t, small(), load(t, reopen(t, dir), "east"))

	for path, want := range map[string]fs.FileMode{"": 0o700, "lock": 0o600, "pods": 0o700, "pods/east": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), path)
	}
}

func TestPresentIsSavedWhereNoTimeIsGiven(t *testing.T) {
	s, _ := openNew(t)
	before := time.Now().Round(0)
	c := small()
	c.Saved = time.Time{}
	save(t, s, c)
	require.Zero(t, c.Saved, "what is saved is only read")
	saved := load(t, s, "east").Saved
	require.False(t, saved.Before(before) || saved.After(time.Now()), saved)
}

func TestSameContentIsNotWrittenAgain(t *testing.T) {
	s, dir := openNew(t)
	save(t, s, small())
	first := content(t, dir, "east")
	at := func(after time.Duration) *Cluster {
		c := small()
		c.Saved = someTime.Add(after)
		return c
	}
	save(t, s, at(refreshAfter-1))
	require.Equal(t, first, content(t, dir, "east"))
	save(t, s, at(refreshAfter))
	require.True(t, load(t, s, "east").Saved.Equal(someTime.Add(refreshAfter)))
	save(t, s, at(0)) // The clock was set back.
	require.Equal(t, first, content(t, dir, "east"))

	require.NoError(t, s.Close())
	s = reopen(t, dir)
	load(t, s, "east")
	save(t, s, at(1))
	require.Equal(t, first, content(t, dir, "east"), "what was loaded is known")

	changed := at(1)
	changed.Sets[1].Pods[0].Ready = false
	save(t, s, changed)
	require.Equal(t, changed, load(t, s, "east"))

	require.NoError(t, os.Remove(filepath.Join(dir, "pods", "east")))
	save(t, s, changed)
	require.Equal(t, changed, load(t, s, "east"), "somebody removed the file")
}

func TestRemoveListAndPrune(t *testing.T) {
	s, dir := openNew(t)
	for _, name := range []string{"west", "east", strings.Repeat("a", 253)} {
		save(t, s, &Cluster{Name: name})
	}
	put(t, dir, "torn", []byte("podway"))
	put(t, dir, "README", nil)
	put(t, dir, "nginx.yaml", []byte("kind: Pod"))
	list, err := s.List()
	require.NoError(t, err)
	require.Equal(t, []string{strings.Repeat("a", 253), "east", "torn", "west"}, list)

	require.NoError(t, s.Remove("west"))
	require.NoError(t, s.Remove("west"), "it is no error to remove nothing")
	removed, err := s.Prune(func(name string) bool { return name == "east" })
	require.NoError(t, err)
	require.Equal(t, []string{strings.Repeat("a", 253), "torn"}, removed)
	require.Equal(t, []string{"README", "east", "nginx.yaml"}, names(t, dir))

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "pods", "east.d", "a"), 0o700))
	list, err = s.List()
	require.NoError(t, err)
	require.Equal(t, []string{"east"}, list)
	require.EqualError(t, s.Remove("east.d"), fmt.Sprintf("cluster east.d: what is remembered of it cannot be removed: %s/pods/east.d: directory not empty; remove the file", dir))
}

func TestNamesThatAreNoClusters(t *testing.T) {
	s, dir := openNew(t)
	for _, name := range []string{"", ".", "..", "../east", "a/b", "a\\b", ".new", "A", "a\x00", strings.Repeat("a", 254)} {
		want := fmt.Sprintf("cluster %.64q: is not a name of a MemberCluster, so nothing is remembered of it: ", name)
		require.ErrorContains(t, s.Save(&Cluster{Name: name}), want)
		require.ErrorContains(t, s.Remove(name), want)
		_, err := s.Load(name)
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, names(t, dir))
}

func TestOneProcessAtATime(t *testing.T) {
	s, dir := openNew(t)
	_, err := Open(dir)
	require.ErrorIs(t, err, ErrLocked)
	require.EqualError(t, err, fmt.Sprintf("--state %s: another podway uses it; give each its own directory, or stop the other one", dir))
	save(t, s, small())
	require.NoError(t, s.Close())
	s = reopen(t, dir)
	load(t, s, "east")
}

func TestClosedStore(t *testing.T) {
	s, _ := openNew(t)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Save(small()), fs.ErrClosed)
	require.ErrorIs(t, s.Remove("east"), fs.ErrClosed)
	_, err := s.Load("east")
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = s.List()
	require.Error(t, err)
}

func TestOpenSweepsUp(t *testing.T) {
	s, dir := openNew(t)
	save(t, s, small())
	require.NoError(t, s.Close())
	put(t, dir, temporary, []byte("half a file"))
	require.Equal(t, small(), load(t, reopen(t, dir), "east"))
	require.Equal(t, []string{"east"}, names(t, dir))
}

func TestOpenWhatIsNoDirectory(t *testing.T) {
	_, err := Open("")
	require.EqualError(t, err, "--state: is empty; name a directory, or leave it out to remember nothing")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err = Open(dir)
		require.EqualError(t, err, fmt.Sprintf("--state %s: it, or what it is in, is no directory: not a directory; name a directory, or leave --state out to remember nothing", dir))
	}
}

// TestFilesThatAreNotUsed says what a person reads of each kind of bad file. A good save makes all of them good.
func TestFilesThatAreNotUsed(t *testing.T) {
	payload, err := encode(small())
	require.NoError(t, err)
	good := frame(magic, payload)
	header := string(good[:bytes.IndexByte(good, '\n')])
	west, err := encode(&Cluster{Name: "west"})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"empty":             {nil, "is torn: only 0 bytes of it are there"},
		"torn in magic":     {good[:5], "is torn: only 5 bytes of it are there"},
		"torn in header":    {good[:60], "is torn: only 60 bytes of it are there"},
		"torn":              {good[:300], fmt.Sprintf("is torn: only 300 of %d bytes are there", len(good))},
		"two files in one":  {slices.Concat(good, good), fmt.Sprintf("is damaged: %d bytes are there, not %d", 2*len(good), len(good))},
		"a bit":             {append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1), "is damaged: its content does not have the checksum that it was written with"},
		"zeroes":            {make([]byte, len(good)), `is damaged, or was not written by podway: it does not begin with "podway-pods"`},
		"another's":         {[]byte("apiVersion: v1\n"), `is damaged, or was not written by podway: it does not begin with "podway-pods"`},
		"bad header":        {[]byte("podway-pods 1 12 abc\n"), `is damaged: its first line is not "podway-pods VERSION LENGTH SHA256"`},
		"bad length":        {[]byte(strings.Replace(header, " 1 ", " 1 -", 1) + "\n"), `is damaged: its first line is not "podway-pods VERSION LENGTH SHA256"`},
		"bad sum":           {[]byte(header[:len(header)-1] + "g\n"), `is damaged: its first line is not "podway-pods VERSION LENGTH SHA256"`},
		"newer":             {[]byte("podway-pods 2 zstd 1234 abc\nxyz"), "was written by a newer podway, in format 2; this one reads format 1"},
		"older":             {[]byte("podway-pods 0\nxyz"), "was written by an older podway, in format 0; this one reads format 1"},
		"another cluster's": {frame(magic, west), `is of cluster "west"`},
		"senseless":         {frame(magic, payload[:50]), "has the right checksum but makes no sense: it ends too early"},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := openNew(t)
			put(t, dir, "east", test.file)
			_, err := s.Load("east")
			require.EqualError(t, err, fmt.Sprintf("cluster east: what was remembered of it is not used: %s/pods/east: %s; the file is replaced once the cluster has been watched", dir, test.want))
			require.NotErrorIs(t, err, fs.ErrNotExist)
			require.Equal(t, len(test.file), len(content(t, dir, "east")), "it is left for whoever wants to look at it")
			save(t, s, small())
			require.Equal(t, small(), load(t, s, "east"))
		})
	}
}

func TestFileThatIsTooLarge(t *testing.T) {
	s, dir := openNew(t)
	put(t, dir, "east", nil)
	require.NoError(t, os.Truncate(filepath.Join(dir, "pods", "east"), maxFile+1)) // takes no space
	_, err := s.Load("east")
	require.ErrorContains(t, err, "/pods/east: is too large: 67109121 bytes; at most 67109120 are read; the file is replaced")
}

// TestTornOrFlippedAnywhere loads each beginning of a file, and the file with each of its bits flipped and each byte inverted.
func TestTornOrFlippedAnywhere(t *testing.T) {
	s, dir := openNew(t)
	save(t, s, small())
	good := content(t, dir, "east")
	for size := range good {
		put(t, dir, "east", good[:size])
		_, err := s.Load("east")
		require.ErrorContains(t, err, "is torn: only ", "%d bytes", size)
	}
	for i := range good {
		for _, change := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			bad := slices.Clone(good)
			bad[i] ^= change
			payload, err := unframe(magic, bad)
			if err != nil {
				continue
			}
			c, err := decode(payload)
			require.NoError(t, err)
			require.Equal(t, small(), c, "byte %d changed by %d", i, change) // such as a checksum's a that became A
		}
	}
}

func TestManySaveAtOnce(t *testing.T) {
	s, dir := openNew(t)
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			name := fmt.Sprint("c", i%2)
			for round := range 20 {
				c := &Cluster{Name: name, Source: fmt.Sprint(i, round), Saved: someTime}
				if err := s.Save(c); err != nil {
					t.Error(err)
				}
				if got, err := s.Load(name); err != nil || got.Name != name {
					t.Error(got, err)
				}
				if _, err := s.List(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, []string{"c0", "c1"}, names(t, dir))
}

// TestDirectoryThatIsRemoved while it is in use: that there is another one by its name is no help.
func TestDirectoryThatIsRemoved(t *testing.T) {
	s, dir := openNew(t)
	save(t, s, small())
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "pods"), 0o700))
	const remedy = "no such file or directory; the state directory was removed, and a restart knows nothing of before: restart podway, which makes it anew"
	require.EqualError(t, s.Save(small()), fmt.Sprintf("cluster east: its Pods cannot be written to %s/pods/east: %s", dir, remedy))
	require.EqualError(t, s.SaveHolds(someHolds()), fmt.Sprintf("the holds cannot be written to %s/pods/.holds: %s", dir, remedy))
}

func TestSaveThatFailsLeavesNothing(t *testing.T) {
	s, dir := openNew(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "pods", "east", "a"), 0o700))
	err := s.Save(small())
	require.EqualError(t, err, fmt.Sprintf("cluster east: its Pods cannot be written to %s/pods/east: file exists; make the directory writable again; until then a restart knows what was written before", dir))
	require.Equal(t, []string{"east"}, names(t, dir))
	_, err = s.Load("east")
	require.ErrorContains(t, err, "/pods/east: is not a regular file; ")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "pods", "east")))
	save(t, s, small())

	large := small()
	large.Source = strings.Repeat("x", maxPayload)
	require.ErrorContains(t, s.Save(large), "cluster east: cannot be remembered: it takes ")
	require.Equal(t, small(), load(t, s, "east"))
}
