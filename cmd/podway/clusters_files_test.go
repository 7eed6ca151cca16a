package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
)

// madeAccess is what an API server would have made for the cluster east.
func madeAccess() *access.Access {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"system:serviceaccount:podway-access:podway-east","iat":1,"exp":4070908800}`))
	c := &credential.Credential{Server: "https://192.0.2.1:6443"}
	return &access.Access{ClusterUID: "uid-1", Credential: c.WithToken("e30." + claims + ".c2ln")}
}

const handWritten = "apiVersion: podway.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: east}\nspec:\n  clusterUID: uid-0\n  source: {type: Kubeconfig, kubeconfig: {file: keys/own}}\n  allowedTunnels: [{from: [edge], to: [shop, cart]}]\n"

// Each step authorizes once more, in the same directory, which is D in what is said.
func TestMemberFilesOfAPersonAreKept(t *testing.T) {
	type step struct {
		name string
		// write are files that a person writes before.
		write map[string]string
		force bool
		from  []string
		// want is what is said, or the error.
		want string
	}
	const hints = "correct spec.clusterUID in it: this cluster has the UID uid-1\n" +
		"its spec.allowedTunnels names namespaces that podway may not read now: run this again with all of them, or remove them there"
	for _, steps := range [][]step{
		{
			{name: "new", want: "wrote D/east.kubeconfig\nwrote D/east.membercluster.yaml\nno tunnel may use east yet: write allowedTunnels in D/east.membercluster.yaml, or run this again with --allow-from"},
			{name: "again", from: []string{"edge", "edge"}, want: "wrote D/east.kubeconfig\nwrote D/east.membercluster.yaml"},
			{name: "again, without saying so", want: "wrote D/east.kubeconfig\nwrote D/east.membercluster.yaml"},
			{
				name: "changed", write: map[string]string{"east.membercluster.yaml": strings.Replace(handWritten, "keys/own", "east.kubeconfig", 1)},
				want: "wrote D/east.kubeconfig\nkept MemberCluster east in D/east.membercluster.yaml:1, which is not as podway would write it\n" + hints,
			},
			{name: "changed, by force", force: true, want: "wrote D/east.kubeconfig\nwrote D/east.membercluster.yaml"},
			{
				name: "somebody else's kubeconfig", write: map[string]string{"east.kubeconfig": "apiVersion: v1\nkind: Config\n"},
				want: "D/east.kubeconfig is there already, and is not that of ServiceAccount podway-access/podway-east; move it away, or use --force to overwrite it",
			},
			{name: "somebody else's kubeconfig, by force", force: true, want: "wrote D/east.kubeconfig\nwrote D/east.membercluster.yaml"},
		},
		{
			{name: "in a directory that is not there", write: map[string]string{"all.yaml": handWritten}, want: "D/keys: no such file or directory"},
			{
				name: "in a file of another name", write: map[string]string{"keys/.keep": ""},
				want: "wrote D/keys/own\nkept MemberCluster east in D/all.yaml:1, which is not as podway would write it\n" + hints,
			},
		},
	} {
		directory := t.TempDir()
		for _, s := range steps {
			for name, text := range s.write {
				writeConfig(t, filepath.Join(directory, name), text)
			}
			if got := strings.ReplaceAll(authorizeFiles(t, directory, s.force, s.from), directory, "D"); got != s.want {
				t.Errorf("%s:\n%s\nwant:\n%s", s.name, got, s.want)
			}
		}
	}
}

// authorizeFiles does what authorize does with files, and returns what it says.
func authorizeFiles(t *testing.T, directory string, force bool, from []string) string {
	t.Helper()
	options := access.Options{Cluster: "east", Namespaces: []string{"shop"}, Force: force}
	files, err := findMemberFiles(directory, options)
	if err != nil {
		return err.Error()
	}
	f := &authorizeFlags{adminFlags: &adminFlags{options: options}, directory: directory, allowFrom: from}
	said, err := files.write(madeAccess(), f.member(files, madeAccess()))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(said, "\n")
}

func writeConfig(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRevokingKeepsFilesOfAPerson(t *testing.T) {
	directory := t.TempDir()
	authorizeFiles(t, directory, false, nil)
	writeConfig(t, filepath.Join(directory, "east.membercluster.yaml"), strings.Replace(handWritten, "keys/own", "east.kubeconfig", 1))
	files, err := lookForMemberFiles(directory, access.Options{Cluster: "east"})
	if err != nil {
		t.Fatal(err)
	}
	said, err := files.remove(false)
	if err != nil {
		t.Fatal(err)
	}
	const want = "kept D/east.membercluster.yaml, which is not as podway wrote it\nremoved D/east.kubeconfig\nremove MemberCluster east in D/east.membercluster.yaml:1 when no tunnel uses it any more"
	if got := strings.ReplaceAll(strings.Join(said, "\n"), directory, "D"); got != want {
		t.Errorf("said:\n%s\nwant:\n%s", got, want)
	}
}

func TestAKubeconfigOutsideOfTheConfigurationIsRefused(t *testing.T) {
	directory, outside := t.TempDir(), filepath.Join(t.TempDir(), "other")
	writeConfig(t, outside, "")
	if err := os.Symlink(outside, filepath.Join(directory, "east.kubeconfig")); err != nil {
		t.Fatal(err)
	}
	_, err := findMemberFiles(directory, access.Options{Cluster: "east", Force: true})
	want := "reading " + directory + "/east.kubeconfig: a symbolic link leads out of the directory"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
