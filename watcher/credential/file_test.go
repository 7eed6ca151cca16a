package credential

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// holds checks a file's content and mode, and that nothing else is left in its directory.
func holds(t *testing.T, path, want string, mode os.FileMode, files int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != want || info.Mode().Perm() != mode {
		t.Errorf("%s holds %q with mode %o, want %q with %o", path, data, info.Mode().Perm(), want, mode)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != files {
		t.Errorf("%d files in the directory, want %d: %v", len(entries), files, entries)
	}
}

func TestWriteFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "east.kubeconfig")
	if err := WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new", 0o600, 1)
}

func TestWriteFileModeIsOfANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "east.yaml")
	if err := WriteFileMode(path, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new", 0o644, 1)
}

func TestWriteFileKeepsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "east.kubeconfig")
	write(t, path, "old", 0o640)
	if err := WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new", 0o640, 1)
}

func TestWriteFileFollowsALinkInsideOnly(t *testing.T) {
	outside, inside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "other"), "old", 0o600)
	if err := os.Mkdir(filepath.Join(inside, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(inside, "real", "east"), "old", 0o600)
	link(t, "real/east", filepath.Join(inside, "good"))
	link(t, filepath.Join(outside, "other"), filepath.Join(inside, "absolute"))
	link(t, "nowhere", filepath.Join(inside, "dangling"))

	if err := WriteFile(filepath.Join(inside, "good"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(inside, "real", "east"), "new", 0o600, 1)
	if info, err := os.Lstat(filepath.Join(inside, "good")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the symbolic link is gone: %v, %v", info, err)
	}
	for name, want := range map[string]string{
		"absolute": "a symbolic link leads out of the directory",
		"dangling": "it is a symbolic link to what does not exist",
		"real":     "it is no regular file",
	} {
		path := filepath.Join(inside, name)
		if err := WriteFile(path, []byte("new")); err == nil || err.Error() != "writing "+path+": "+want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	holds(t, filepath.Join(outside, "other"), "old", 0o600, 1)
}

func TestWriteFileToNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone", "east")
	if err := WriteFile(path, nil); err == nil || err.Error() != "writing "+path+": "+filepath.Dir(path)+": no such file or directory" {
		t.Error(err)
	}
}

func TestReadFileStaysInTheDirectory(t *testing.T) {
	outside, inside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "other"), "secret", 0o600)
	write(t, filepath.Join(inside, "east"), "good", 0o600)
	link(t, filepath.Join(outside, "other"), filepath.Join(inside, "link"))
	link(t, outside, filepath.Join(inside, "directory"))
	link(t, filepath.Join(inside, "east"), filepath.Join(inside, "absolute"))
	link(t, inside, filepath.Join(outside, "way"))
	if err := syscall.Mkfifo(filepath.Join(inside, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ directory, path, want string }{
		{inside, "east", "good"},
		{inside, "absolute", "good"},
		{filepath.Join(outside, "way"), "./east", "good"},
		{inside, "link", "a symbolic link leads out of the directory"},
		{inside, "directory/other", "a symbolic link leads out of the directory"},
		{inside, "../east", "the path leads out of the directory"},
		{inside, "/etc/passwd", "the path leads out of the directory"},
		{inside, "gone", "no such file or directory"},
		{inside, ".", "it is no regular file"},
		{inside, "pipe", "it is no regular file"},
	} {
		data, err := ReadFile(test.directory, test.path)
		if err != nil {
			data = []byte(err.Error())
		}
		if string(data) != test.want {
			t.Errorf("%s: %s, want %s", test.path, data, test.want)
		}
	}
}

func TestReadFileHasALimit(t *testing.T) {
	directory := t.TempDir()
	write(t, filepath.Join(directory, "big"), strings.Repeat("x", MaxBytes+7), 0o600)
	if data, err := ReadFile(directory, "big"); err != nil || len(data) != MaxBytes+1 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
