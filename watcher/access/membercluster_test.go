package access

import (
	"fmt"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/podway/podway/api/v1alpha1"
)

func TestMemberClusterYAML(t *testing.T) {
	const begin = `apiVersion: podway.dev/v1alpha1
kind: MemberCluster
metadata:
  name: east
spec:
`
	const end = `  clusterUID: uid
  network: vpc
  source:
    kubeconfig:
      file: east.kubeconfig
    type: Kubeconfig
`
	for name, test := range map[string]struct {
		from, namespaces []string
		want             string
	}{
		"Nobody": {nil, []string{"cart", "shop"}, begin + end +
			"  # No tunnel may use this cluster yet. To let those of a namespace use it:\n  # allowedTunnels:\n  # - {from: [NAMESPACE], to: [cart, shop]}\n"},
		"NobodyAnything": {nil, nil, begin + end +
			"  # No tunnel may use this cluster yet. To let those of a namespace use it:\n  # allowedTunnels:\n  # - {from: [NAMESPACE], to: [\"*\"]}\n"},
		"Some": {[]string{"edge"}, []string{"shop"}, begin + "  allowedTunnels:\n  - from:\n    - edge\n    to:\n    - shop\n" + end},
		"All":  {[]string{"*"}, nil, begin + "  allowedTunnels:\n  - from:\n    - '*'\n    to:\n    - '*'\n" + end},
	} {
		m := Member{Name: "east", Network: "vpc", KubeconfigFile: "east.kubeconfig", ClusterUID: "uid", AllowFrom: test.from, Namespaces: test.namespaces}
		got, err := m.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, test.want)
		}
		var object v1alpha1.MemberCluster
		if err := yaml.UnmarshalStrict(got, &object); err != nil {
			t.Fatal(err)
		}
		if problems := object.Validate(); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestManyNamespacesAreSeveralEntries(t *testing.T) {
	m := Member{Name: "east", KubeconfigFile: "east.kubeconfig", AllowFrom: []string{"edge"}}
	for i := range 150 {
		m.Namespaces = append(m.Namespaces, fmt.Sprintf("ns-%03d", i))
	}
	object := m.Object()
	if len(object.Spec.AllowedTunnels) != 3 {
		t.Errorf("%d entries, want 3", len(object.Spec.AllowedTunnels))
	}
	if problems := object.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
}
