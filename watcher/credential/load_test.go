package credential

import (
	"path/filepath"
	"strings"
	"testing"

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
