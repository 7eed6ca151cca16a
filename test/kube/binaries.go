package kubetest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// binaries are the three programs, as paths.
type binaries struct{ etcd, server, controllers string }

// findBinaries looks where `make kube` puts them: .cache/kube/VERSION of the module that the working directory lies in.
func findBinaries() (binaries, error) {
	directory, err := os.Getwd()
	if err != nil {
		return binaries{}, fmt.Errorf("finding the module: %w", err)
	}
	root, err := moduleRoot(directory)
	if err != nil {
		return binaries{}, err
	}
	version, err := kubeVersion(filepath.Join(root, "tools", "kube", "go.mod"))
	if err != nil {
		return binaries{}, err
	}
	in := filepath.Join(root, ".cache", "kube", version)
	found := binaries{
		etcd: filepath.Join(in, "etcd"), server: filepath.Join(in, "kube-apiserver"), controllers: filepath.Join(in, "kube-controller-manager"),
	}
	for _, path := range []string{found.etcd, found.server, found.controllers} {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return binaries{}, fmt.Errorf("%s is missing or no program: run `make kube` in podway's repository", path)
		}
	}
	return found, nil
}

// moduleRoot is the nearest folder upwards with podway's go.mod.
func moduleRoot(directory string) (string, error) {
	for at := directory; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "tools", "kube", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not inside podway's repository, in which `make kube` puts the API server", directory)
		}
	}
}

// kubeVersion reads which Kubernetes the tools' module requires, such as v1.37.2.
func kubeVersion(mod string) (string, error) {
	file, err := os.Open(mod)
	if err != nil {
		return "", fmt.Errorf("finding the version of Kubernetes: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing is buffered here
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "k8s.io/kubernetes" {
			return words[1], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("finding the version of Kubernetes: %w", err)
	}
	return "", fmt.Errorf("%s requires no k8s.io/kubernetes: run `make kube` in a whole checkout", mod)
}
