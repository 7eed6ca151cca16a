package envoy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Version is the release of Envoy that podway is built and tested with, and
// that `make envoy` fetches.
const Version = "1.40.0"

// Find returns the path of an Envoy binary: $ENVOY where it is set, else
// `envoy` on PATH, else what `make envoy` has put below .cache/envoy of the
// module that the current directory or this program lies in. It does not run the binary. The
// error says what to do.
func Find() (string, error) {
	return find(os.Getenv("ENVOY"), cacheRoots())
}

func find(explicit string, roots []string) (string, error) {
	if explicit != "" {
		if err := executable(explicit); err != nil {
			return "", fmt.Errorf("$ENVOY: %w; set it to an Envoy binary, or unset it", err)
		}
		return filepath.Abs(explicit)
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return filepath.Abs(path)
	}
	for _, root := range roots {
		path := filepath.Join(root, ".cache", "envoy", Version, "envoy")
		if executable(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no Envoy found: $ENVOY is not set, `envoy` is not on PATH, and no .cache/envoy/%s/envoy is here; "+
		"run `make envoy` in podway's repository, or set ENVOY to an Envoy %s binary", Version, Version)
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}

// cacheRoots are the folders whose .cache may hold a binary. A folder above
// the module is never among them: what lies there is not ours to run.
func cacheRoots() []string {
	var roots []string
	if directory, err := os.Getwd(); err == nil {
		roots = append(roots, moduleRoot(directory))
	}
	if program, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(program); err == nil {
			program = resolved
		}
		roots = append(roots, moduleRoot(filepath.Dir(program)))
	}
	return roots
}

// moduleRoot is the nearest folder upwards with a go.mod, or else directory itself.
func moduleRoot(directory string) string {
	for at := directory; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return directory
		}
	}
}
