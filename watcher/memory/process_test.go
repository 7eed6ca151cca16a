//go:build linux

package memory

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asChild is set in a process of the test's own, whose rights and limits are not this one's: what it is to do, a colon, and a directory.
const asChild = "PODWAY_TEST_MEMORY"

func child(task, dir string) *exec.Cmd {
	command := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	command.Env = append(os.Environ(), asChild+"="+task+":"+dir)
	return command
}

// said runs a child to its end and returns the lines that it marked.
func said(t *testing.T, command *exec.Cmd, dir string) []string {
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	var lines []string
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, "> "); ok {
			lines = append(lines, strings.ReplaceAll(strings.TrimSpace(text), dir+"/", ""))
		}
	}
	return lines
}

func say(what ...any) { fmt.Fprintln(os.Stdout, append([]any{">"}, what...)...) }

// TestChild is the other process of the tests below.
func TestChild(t *testing.T) {
	task, dir, _ := strings.Cut(os.Getenv(asChild), ":")
	switch task {
	case "permission":
		withoutRights(t, dir)
	case "limit":
		withFileLimit(t, dir)
	case "full":
		require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,nr_inodes=64"))
		onFullDisk(t, dir)
	case "crash":
		saveForEver(t, dir)
	}
}

func TestPermissions(t *testing.T) {
	dir, err := os.MkdirTemp("", "podway")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for path, mode := range map[string]os.FileMode{"closed/pods": 0o500, "files/pods": 0o777} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, path), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path, "east"), nil, 0), path)
		require.NoError(t, os.Chmod(filepath.Join(dir, path), mode))
		require.NoError(t, os.Chmod(filepath.Dir(filepath.Join(dir, path)), 0o777))
		t.Cleanup(func() { require.NoError(t, os.Chmod(filepath.Join(dir, path), 0o755)) })
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "top"), 0o500))
	require.NoError(t, os.Chmod(filepath.Join(dir, "top"), 0o555))
	const remedy = "name a directory that podway may write to, on a disk of this machine, or leave --state out to remember nothing"
	require.Equal(t, []string{
		"--state top/new: cannot be used: permission denied; " + remedy,
		"--state top: cannot be used: permission denied; " + remedy,
		"--state closed: cannot be used: permission denied; " + remedy,
		"cluster east: what was remembered of it is not used: files/pods/east: cannot be read: permission denied; the file is replaced once the cluster has been watched",
		"<nil>",
		"cluster east: its Pods cannot be written to files/pods/east: permission denied; make the directory writable again; until then a restart knows what was written before",
		"cluster east: what is remembered of it cannot be removed: files/pods/east: permission denied; remove the file",
	}, said(t, child("permission", dir), dir))
}

func withoutRights(t *testing.T, dir string) {
	if os.Geteuid() == 0 {
		const nobody = 65534
		require.NoError(t, syscall.Setgroups(nil))
		require.NoError(t, syscall.Setgid(nobody))
		require.NoError(t, syscall.Setuid(nobody))
	}
	for _, name := range []string{"top/new", "top", "closed"} {
		_, err := Open(filepath.Join(dir, name))
		say(err)
	}
	s := reopen(t, filepath.Join(dir, "files"))
	_, err := s.Load("east")
	say(err)
	say(s.Save(small()))
	require.NoError(t, os.Rename(filepath.Join(dir, "files/pods"), filepath.Join(dir, "files/old")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "files/pods"), 0o700))
	other := &Store{path: s.path, known: map[string]written{}}
	other.root, err = os.OpenRoot(s.path)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	save(t, other, small())
	require.NoError(t, os.Chmod(s.path, 0o500))
	changed := small()
	changed.UID = ""
	say(other.Save(changed))
	say(other.Remove("east"))
}

// TestFileLimit has a limit in the place of a full disk, which any user can set.
func TestFileLimit(t *testing.T) {
	dir := t.TempDir()
	require.Equal(t, []string{
		"cluster east: its Pods cannot be written to pods/east: file too large; free some space; until then a restart knows what was written before",
		"[east]",
	}, said(t, child("limit", dir), dir))
}

func withFileLimit(t *testing.T, dir string) {
	s := reopen(t, dir)
	save(t, s, small())
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: limit.Max}))
	say(s.Save(large(100, 10, 1, false)))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)) // The test binary may have coverage to write.
	say(names(t, dir))
	require.Equal(t, small(), load(t, s, "east"))
}

// TestFullDisk has a disk of 64 KiB, where the system lets the test mount one in a namespace of its own.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	command := child("full", dir)
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		command.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	probe := exec.Command("/bin/true")
	probe.SysProcAttr = command.SysProcAttr
	if err := probe.Run(); err != nil {
		t.Log("no namespace, so that TestFileLimit alone shows a disk that is full:", err)
		return
	}
	require.Equal(t, []string{
		"cluster east: its Pods cannot be written to state/pods/east: no space left on device; free some space; until then a restart knows what was written before",
		"[east]",
		"cluster west: its Pods cannot be written to state/pods/west: no space left on device; free some space; until then a restart knows what was written before",
		"--state new: cannot be made: no space left on device; free some space, or leave --state out to remember nothing",
	}, said(t, command, dir))
}

func onFullDisk(t *testing.T, dir string) {
	state := filepath.Join(dir, "state")
	s := reopen(t, state)
	save(t, s, small())
	say(s.Save(large(400, 10, 1, false)))
	say(names(t, state))
	require.Equal(t, small(), load(t, s, "east"))
	require.NoError(t, s.Close())

	fill(t, dir)
	s = reopen(t, state)
	require.Equal(t, small(), load(t, s, "east"), "a full disk can be read")
	say(s.Save(&Cluster{Name: "west"}))
	_, err := Open(filepath.Join(dir, "new"))
	say(err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "rest")))
	save(t, s, &Cluster{Name: "west"})
}

// fill takes all space of a small disk, and all its inodes.
func fill(t *testing.T, dir string) {
	rest := filepath.Join(dir, "rest")
	require.NoError(t, os.Mkdir(rest, 0o700))
	require.ErrorIs(t, os.WriteFile(filepath.Join(rest, "space"), make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(rest, fmt.Sprint(i)), nil, 0o600); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			return
		}
	}
	t.Fatal("the disk is not full")
}

// TestKilledWhileSaving kills a process that saves, again and again: what is there afterwards is whole.
func TestKilledWhileSaving(t *testing.T) {
	dir := t.TempDir()
	for round := range 8 {
		command := child("crash", dir)
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		lines := bufio.NewScanner(out)
		for saves := 0; saves <= round && lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "> ") {
				saves++
			}
		}
		require.NoError(t, lines.Err())
		require.NoError(t, command.Process.Kill())
		require.Error(t, command.Wait())

		s := reopen(t, dir)
		c := load(t, s, "east")
		require.Len(t, c.Sets, 20)
		require.Equal(t, large(20, 10, uint64(c.Saved.Nanosecond()), false).Sets, c.Sets)
		require.Equal(t, []string{"east"}, names(t, dir))
		require.NoError(t, s.Close())
	}
}

func saveForEver(t *testing.T, dir string) {
	s := reopen(t, dir)
	for i := range 1_000_000 { // Long before, it is killed.
		c := large(20, 10, uint64(i), false)
		c.Saved = someTime.Truncate(time.Second).Add(time.Duration(i)) // says which one it is
		save(t, s, c)
		say(i)
	}
}

func TestNamedPipeIsNotOpened(t *testing.T) {
	s, dir := openNew(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pods", "east"), 0o600))
	_, err := s.Load("east")
	require.ErrorContains(t, err, "/pods/east: is not a regular file; ")
	save(t, s, small())
	require.Equal(t, small(), load(t, s, "east"))
}

func TestLinkLeadsNowhere(t *testing.T) {
	s, dir := openNew(t)
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("mine"), 0o600))
	for _, name := range []string{"east", temporary} {
		require.NoError(t, os.Symlink(outside, filepath.Join(dir, "pods", name)))
	}
	_, err := s.Load("east")
	require.ErrorContains(t, err, "/pods/east: is not a regular file; ")
	save(t, s, small())
	require.Equal(t, small(), load(t, s, "east"))
	text, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
}
