package credential

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/v1alpha1"
)

func TestLoad(t *testing.T) {
	directory := t.TempDir()
	write(t, filepath.Join(directory, "east.kubeconfig"), kubeconfig(plainServer, plainUser), 0o600)
	name := types.NamespacedName{Namespace: "edge", Name: "east"}
	secrets := map[types.NamespacedName]*corev1.Secret{name: {
		Data:       map[string][]byte{"kubeconfig": []byte(kubeconfig(plainServer, plainUser))},
		StringData: map[string]string{"text": kubeconfig(plainServer, plainUser)},
	}}
	ref := func(name, key string) *v1alpha1.KubeconfigSource {
		return &v1alpha1.KubeconfigSource{SecretRef: &v1alpha1.SecretKeyReference{Namespace: "edge", Name: name, Key: key}}
	}
	for name, test := range map[string]struct {
		source *v1alpha1.KubeconfigSource
		want   string
	}{
		"File":       {&v1alpha1.KubeconfigSource{File: "east.kubeconfig"}, ""},
		"DefaultKey": {ref("east", ""), ""},
		"StringData": {ref("east", "text"), ""},
		"NoFile": {
			&v1alpha1.KubeconfigSource{File: "west.kubeconfig"},
			"error Unreadable: MemberCluster east spec.source.kubeconfig.file: the kubeconfig west.kubeconfig cannot be read: no such file or directory; put a kubeconfig there, below the configuration directory, or make it: podway clusters authorize east --kubeconfig ADMIN",
		},
		"NoSecret": {ref("west", ""), "error MissingSecret: MemberCluster east spec.source.kubeconfig.secretRef: there is no Secret edge/west; create it, or correct the reference"},
		"NoKey":    {ref("east", "config"), "error MissingKey: MemberCluster east spec.source.kubeconfig.secretRef: the Secret edge/east has no key config; put the kubeconfig under that key, or name the key that it is under"},
		"Nothing":  {nil, "error MissingField: MemberCluster east spec.source.kubeconfig: the cluster has no kubeconfig; set file or secretRef in spec.source.kubeconfig"},
	} {
		cluster := &v1alpha1.MemberCluster{
			ObjectMeta: metav1.ObjectMeta{Name: "east"},
			Spec:       v1alpha1.MemberClusterSpec{Source: v1alpha1.ClusterSource{Type: v1alpha1.ClusterSourceKubeconfig, Kubeconfig: test.source}},
		}
		c, problems := Load(cluster, directory, secrets)
		var lines []string
		for _, problem := range problems {
			lines = append(lines, problem.String())
		}
		if got := strings.Join(lines, "\n"); got != test.want || (c != nil) != (test.want == "") {
			t.Errorf("%s: %v, %s\nwant %s", name, c, got, test.want)
		}
	}
}

// TestReaderSeesEachChange also of the time, which passes as the test says.
func TestReaderSeesEachChange(t *testing.T) { synctest.Test(t, readerSeesEachChange) }

func readerSeesEachChange(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "east.kubeconfig")
	cluster := &v1alpha1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "east"},
		Spec:       v1alpha1.MemberClusterSpec{Source: v1alpha1.ClusterSource{Type: v1alpha1.ClusterSourceKubeconfig, Kubeconfig: &v1alpha1.KubeconfigSource{File: "east.kubeconfig"}}},
	}
	soon := time.Now().Add(2 * time.Second)
	ending := token(map[string]any{"exp": float64(soon.UnixMilli()) / 1000})
	var reader Reader
	load := func(user string) (*Credential, int) {
		t.Helper()
		if user != "" {
			write(t, path, kubeconfig(plainServer, user), 0o600)
		}
		c, problems := reader.Load(cluster, directory, nil)
		return c, len(problems)
	}
	first, _ := load(plainUser)
	if again, _ := load(plainUser); again != first || first == nil {
		t.Errorf("the same content: %p, want %p", again, first)
	}
	if other, _ := load("token: other"); other == nil || other.Token != "other" {
		t.Errorf("another token: %v", other)
	}
	if broken, problems := load("exec: {}"); broken != nil || problems == 0 {
		t.Errorf("one that is refused: %v, %d Problems", broken, problems)
	}
	if still, problems := load(""); still != nil || problems == 0 {
		t.Errorf("once more: %v, %d Problems", still, problems)
	}
	if back, _ := load(plainUser); back == nil || !back.Equal(first) {
		t.Errorf("the first again: %v", back)
	}
	if c, problems := load("token: " + ending); c == nil || problems > 0 {
		t.Errorf("before its end: %v, %d Problems", c, problems)
	}
	<-time.After(time.Until(soon))
	if c, problems := load(""); c != nil || problems == 0 {
		t.Errorf("after its end: %v, %d Problems", c, problems)
	}
	cluster.Spec.Source.Kubeconfig.File = "gone"
	if c, problems := load(""); c != nil || problems == 0 {
		t.Errorf("no file: %v, %d Problems", c, problems)
	}
}
