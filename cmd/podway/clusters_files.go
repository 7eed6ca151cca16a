package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/files"
)

// memberFiles are the two files of a member cluster in a configuration directory: a MemberCluster and its kubeconfig.
type memberFiles struct {
	directory string
	options   access.Options
	// yaml and kubeconfig are relative to the directory.
	yaml, kubeconfig string
	// existing is the MemberCluster of that name; nil where there is none.
	existing *v1alpha1.MemberCluster
	// origin is where it is, such as config/clusters.yaml:3.
	origin string
	// unchanged is true where the file yaml is as podway wrote it, or is not there.
	unchanged bool
}

// findMemberFiles looks at what there is, and refuses what podway must not write over, before anything is done anywhere.
func findMemberFiles(directory string, options access.Options) (*memberFiles, error) {
	f, err := lookForMemberFiles(directory, options)
	if err != nil {
		return nil, err
	}
	if err := f.checkYAML(); err != nil {
		return nil, err
	}
	return f, f.checkKubeconfig()
}

// lookForMemberFiles looks at what there is.
func lookForMemberFiles(directory string, options access.Options) (*memberFiles, error) {
	if err := checkDirectory(directory); err != nil {
		return nil, err
	}
	f := &memberFiles{directory: directory, options: options, yaml: options.Cluster + ".membercluster.yaml", kubeconfig: options.Cluster + ".kubeconfig"}
	loaded, err := load([]string{directory}, files.Options{})
	if err != nil {
		return nil, err
	}
	if f.existing = loaded.cfg.MemberClusters[options.Cluster]; f.existing != nil {
		ref := api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindMemberCluster, Name: options.Cluster}
		if origin := loaded.cfg.Origins[ref]; origin != nil {
			f.origin = fmt.Sprintf("%s:%d", origin.File, origin.Line)
		}
		if source := f.existing.Spec.Source.Kubeconfig; source != nil && source.File != "" {
			f.kubeconfig = source.File
		}
	}
	data, err := credential.ReadFile(directory, f.yaml)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.unchanged = true
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", f.path(f.yaml), err)
	default:
		f.unchanged = isUnchanged(data)
	}
	return f, nil
}

// checkDirectory refuses a configuration that is no directory.
func checkDirectory(directory string) error {
	if err := checkPaths([]string{directory}); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if info, err := os.Stat(directory); err == nil && !info.IsDir() {
		return fmt.Errorf("--config: %s is a file; name the directory that it is in", directory)
	}
	return nil
}

func (f *memberFiles) path(name string) string {
	return filepath.Join(f.directory, filepath.FromSlash(name))
}

// elsewhere says whether the MemberCluster is in a file of another name.
func (f *memberFiles) elsewhere() bool {
	return f.existing != nil && f.origin != "" && !strings.HasPrefix(f.origin, f.path(f.yaml)+":")
}

// pinned is the UID that the cluster must have; none with --force.
func (f *memberFiles) pinned() string {
	if f.existing == nil || f.options.Force {
		return ""
	}
	return f.existing.Spec.ClusterUID
}

// checkYAML refuses where neither a MemberCluster of this kind is there, nor can one be written.
func (f *memberFiles) checkYAML() error {
	if f.existing != nil {
		if source := f.existing.Spec.Source.Kubeconfig; (source == nil || source.File == "") && (f.elsewhere() || !f.options.Force) {
			return fmt.Errorf("%s: MemberCluster %s does not have its kubeconfig in a file; remove it, or set spec.source to {type: Kubeconfig, kubeconfig: {file: %s}}",
				f.origin, f.options.Cluster, f.kubeconfig)
		}
		return nil
	}
	if !f.unchanged && !f.options.Force {
		return fmt.Errorf("%s is there already, and has no MemberCluster %s that podway could use; move it away, or use --force to overwrite it", f.path(f.yaml), f.options.Cluster)
	}
	return nil
}

// checkKubeconfig refuses to write over the kubeconfig of somebody else.
func (f *memberFiles) checkKubeconfig() error {
	data, err := credential.ReadFile(f.directory, f.kubeconfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkPaths([]string{filepath.Dir(f.path(f.kubeconfig))})
	case err != nil:
		return fmt.Errorf("reading %s: %w", f.path(f.kubeconfig), err)
	case f.options.Force || credential.AccountOf(data) == f.account():
		return nil
	}
	return fmt.Errorf("%s is there already, and is not that of ServiceAccount %s; move it away, or use --force to overwrite it", f.path(f.kubeconfig), f.account())
}

// account is the ServiceAccount of the access.
func (f *memberFiles) account() types.NamespacedName { return f.options.Account() }

// write writes the kubeconfig, and the MemberCluster unless there is one that a person has written or changed. It says what it did.
func (f *memberFiles) write(made *access.Access, member access.Member) ([]string, error) {
	text, err := made.Credential.Kubeconfig()
	if err != nil {
		return nil, err
	}
	if err := credential.WriteFile(f.path(f.kubeconfig), text); err != nil {
		return nil, err
	}
	said := []string{"wrote " + f.path(f.kubeconfig)}
	if f.existing != nil && (f.elsewhere() || !f.unchanged && !f.options.Force) {
		said = append(said, fmt.Sprintf("kept MemberCluster %s in %s, which is not as podway would write it", member.Name, f.origin))
		return append(said, f.hints(member)...), nil
	}
	slices.Sort(member.AllowFrom)
	member.AllowFrom = slices.Compact(member.AllowFrom)
	if text, err = member.YAML(); err != nil {
		return said, err
	}
	if err := credential.WriteFileMode(f.path(f.yaml), sign(text), 0o644); err != nil {
		return said, err
	}
	said = append(said, "wrote "+f.path(f.yaml))
	if len(member.AllowFrom) == 0 {
		said = append(said, fmt.Sprintf("no tunnel may use %s yet: write allowedTunnels in %s, or run this again with --allow-from", member.Name, f.path(f.yaml)))
	}
	return said, nil
}

// hints say where a MemberCluster that was kept does not fit what was made.
func (f *memberFiles) hints(member access.Member) []string {
	spec := f.existing.Spec
	var out []string
	if spec.ClusterUID == "" {
		out = append(out, fmt.Sprintf("set spec.clusterUID in it to %s, so that no other cluster can take its place", member.ClusterUID))
	} else if spec.ClusterUID != member.ClusterUID {
		out = append(out, fmt.Sprintf("correct spec.clusterUID in it: this cluster has the UID %s", member.ClusterUID))
	}
	granted, scope := member.Scope(), access.ScopeOf(f.existing)
	if scope.IsEmpty() {
		out = append(out, "no tunnel may use it yet: write spec.allowedTunnels in it")
	} else if !granted.Contains(scope) {
		out = append(out, "its spec.allowedTunnels names namespaces that podway may not read now: run this again with all of them, or remove them there")
	}
	return out
}

// remove removes the files that podway has written and nobody has changed. It says what it did, or would do.
func (f *memberFiles) remove(dryRun bool) ([]string, error) {
	var said []string
	for _, file := range []struct {
		name string
		own  func([]byte) bool
	}{
		{f.yaml, isUnchanged},
		{f.kubeconfig, func(data []byte) bool { return credential.AccountOf(data) == f.account() }},
	} {
		data, err := credential.ReadFile(f.directory, file.name)
		path := f.path(file.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return said, fmt.Errorf("reading %s: %w", path, err)
		case !file.own(data):
			said = append(said, "kept "+path+", which is not as podway wrote it")
			continue
		case dryRun:
			said = append(said, "would remove "+path)
			continue
		}
		if err := os.Remove(path); err != nil {
			return said, fmt.Errorf("removing a file: %w", err)
		}
		said = append(said, "removed "+path)
	}
	if f.existing != nil && (f.elsewhere() || !f.unchanged) {
		said = append(said, fmt.Sprintf("remove MemberCluster %s in %s when no tunnel uses it any more", f.options.Cluster, f.origin))
	}
	return said, nil
}

// signature begins a file that podway may write over: what follows has that hash.
const signature = "# Written by podway clusters authorize, which writes it anew unless somebody has changed it. Content: "

func sign(text []byte) []byte { return append([]byte(signature+hashOf(text)+"\n"), text...) }

func isUnchanged(data []byte) bool {
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	return string(line) == signature+hashOf(rest)
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
