package credential

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestAdminMayUseProgramsAndFiles(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "admin")
	write(t, filepath.Join(directory, "ca.crt"), good().certificate, 0o600)
	write(t, path, kubeconfig(plainServer+", certificate-authority: ca.crt", "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}"), 0o600)
	config, err := Admin(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://192.0.2.1:6443" || config.CAFile != filepath.Join(directory, "ca.crt") || config.ExecProvider == nil {
		t.Errorf("read as %s", config)
	}
}

func TestAdminThatCannotBe(t *testing.T) {
	directory := t.TempDir()
	for name, test := range map[string]struct{ text, context, want string }{
		"Context":   {kubeconfig(plainServer, plainUser), "spare", ` has no context "spare"`},
		"NoContext": {strings.Replace(kubeconfig(plainServer, plainUser), "current-context: main\n", "", 1), "", " has no current-context: name one of its contexts with --context"},
		"TwoUsers":  {kubeconfig(plainServer, plainUser) + "- {name: podway, user: {token: " + secretWord + "}}\n", "", " cannot be read: two of its clusters, users or contexts have one name"},
	} {
		path := filepath.Join(directory, name)
		write(t, path, test.text, 0o600)
		if _, err := Admin(path, test.context); err == nil || err.Error() != "the kubeconfig "+path+test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	path := filepath.Join(directory, "gone")
	if _, err := Admin(path, ""); err == nil || err.Error() != "reading the kubeconfig "+path+": no such file or directory" {
		t.Error(err)
	}
	if _, err := Admin(directory, ""); err == nil || err.Error() != "reading the kubeconfig "+directory+": it is no regular file" {
		t.Error(err)
	}
}

func TestAccountOf(t *testing.T) {
	expired := token(map[string]any{"sub": "system:serviceaccount:podway-access:podway-east", "exp": 1})
	if got := AccountOf([]byte(kubeconfig("", "token: "+expired))); got != (types.NamespacedName{Namespace: "podway-access", Name: "podway-east"}) {
		t.Errorf("%v", got)
	}
	for _, text := range []string{"", "a: [", kubeconfig(plainServer, plainUser), strings.Repeat("x", MaxBytes+1)} {
		if got := AccountOf([]byte(text)); got.Name != "" {
			t.Errorf("%v", got)
		}
	}
}
