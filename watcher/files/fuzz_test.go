package files

import (
	"testing"

	"github.com/podway/podway/api"
)

// FuzzConfiguration decodes anything as a configuration file, twice: at first, and over a good one.
func FuzzConfiguration(f *testing.F) {
	gateway := `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: c, listeners: [{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: HTTPRoute
metadata: {name: r}
spec: {rules: [{matches: [{path: {value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /}}}], backendRefs: [{group: podway.dev, kind: Tunnel, name: a}], timeouts: {request: 1s}}]}
`
	for _, seed := range []string{
		tunnel("a", "10") + "---\n" + tunnel("b", "101"), memberCluster("east"), gateway, objects("10.0.0.1"), bomb(), "---\n...\n%YAML 1.2\n---\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: '!'}\nstringData: {b: 1}\n", "a: &a [*a]\n", "<<: [a]\n? {}\n: b\n", "\ufeff{}", "\xff",
		"apiVersion: v1\nkind: List\nitems:\n- null\n- &a {<<: *a}\n",
	} {
		f.Add([]byte(seed))
	}
	good := parse("a.yaml", []byte(tunnel("a", "10")+"---\n"+tunnel("b", "10")), nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, old := range []*content{nil, good} {
			c := parse("a.yaml", text, old)
			for _, o := range c.objects {
				if o.value == nil || o.ref.Name == "" || o.origin == nil {
					t.Fatalf("an object in force without a value, a name or an origin: %+v", o.ref)
				}
			}
			checkProblems(t, c.problems)
		}
	})
}

// FuzzObjects decodes anything as a file of a cluster's objects, and joins it.
func FuzzObjects(f *testing.F) {
	for _, seed := range []string{
		objects("10.0.0.1"), documentsOf(objects("10.0.0.1")), objects("2001:db8::1")[:300], bomb(),
		`{"kind": "List", "apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}, null]}`,
		"items:\n- - -\n-\nkind: List\n", "items:\n  -a\n", "{a: b}", "items:\n- status:\n  x\nkind: List", "items:\n- kind: Pod\n  metadata: &a\n    labels: *a\nkind: List\n",
	} {
		f.Add([]byte(seed))
	}
	good := parseObjects("east", "a.yaml", []byte(objects("10.0.0.1")), nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, old := range []*objectFile{nil, good} {
			file := parseObjects("east", "a.yaml", text, old)
			checkProblems(t, file.problems)
			c := newCluster("east", "east", 1, nil)
			c.put(&tracked[objectFile]{found: found{path: "a.yaml"}, content: file}, 1000)
			x := c.index
			x.join()
			for key, set := range x.sets {
				if x.services[key] == nil || set == nil {
					t.Fatalf("%v lacks its Service or its Set", key)
				}
			}
			x.replace("a.yaml", c.files["a.yaml"].content.items, nil)
			x.join()
			if len(x.sets)+len(x.holders)+len(x.origins)+len(x.repeated)+len(x.touched) > 0 || !x.joined.IsEmpty() {
				t.Fatalf("something is left of a file that is gone: %+v", x)
			}
		}
	})
}

func checkProblems(t *testing.T, problems []api.Problem) {
	for _, p := range problems {
		if p.Code == "" || p.Severity == "" || p.Message == "" || p.Remedy == "" || p.File == "" || p.Line < 0 {
			t.Fatalf("an incomplete problem: %#v", p)
		}
	}
}
