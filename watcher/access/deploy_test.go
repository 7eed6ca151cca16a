package access

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestDeployedManifestsAreTheSame keeps deploy/member-cluster, for people without podway, equal to what Authorize makes.
func TestDeployedManifestsAreTheSame(t *testing.T) {
	for file, namespaces := range map[string][]string{"cluster-wide.yaml": nil, "namespaced.yaml": {"shop"}} {
		text, err := os.ReadFile("../../deploy/member-cluster/" + file)
		if err != nil {
			t.Fatal(err)
		}
		manifests, err := Manifests(Options{Cluster: "east", Namespaces: namespaces})
		if err != nil {
			t.Fatal(err)
		}
		made, err := YAML(manifests)
		if err != nil {
			t.Fatal(err)
		}
		got, want := documents(t, string(text)), documents(t, string(made))
		if len(got) != len(want) {
			t.Fatalf("%s has %d objects, want %d", file, len(got), len(want))
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%s: object %d is %v, want %v", file, i, got[i], want[i])
			}
		}
	}
}

func documents(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for document := range strings.SplitSeq(text, "\n---\n") {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		out = append(out, object)
	}
	return out
}
