package files

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProblemsOfConfiguration(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{name: "empty", text: ""},
		{name: "comments and marks", text: "# nothing\n---\n%YAML 1.1\n---\n...\n"},
		{name: "all is well", text: tunnel("a", "50")},
		{name: "byte order mark", text: "\ufeff" + tunnel("a", "50")},
		{name: "Windows line ends", text: strings.ReplaceAll(tunnel("a", "50")+"---\n"+tunnel("b", "50"), "\n", "\r\n")},
		{
			name: "unknown field", text: tunnel("a", "50") + "    podWieght: 3\n",
			want: []string{`a.yaml:13: error UnknownField: Tunnel edge/a spec.services[0].podWieght: there is no field "podWieght": did you mean podWeight?; write podWeight, or remove the field`},
		},
		{
			name: "a part of a field's name", text: strings.Replace(tunnel("a", "50"), "podWeight", "weight", 1),
			want: []string{`a.yaml:12: error UnknownField: Tunnel edge/a spec.services[0].weight: there is no field "weight": did you mean podWeight?; write podWeight, or remove the field`},
		},
		{
			name: "a field like no other", text: tunnel("a", "50") + "    xyzzy: 3\n",
			want: []string{`a.yaml:13: error UnknownField: Tunnel edge/a spec.services[0].xyzzy: there is no field "xyzzy"; remove it; the fields here are cluster, namespace, name, port, podWeight, podSelector`},
		},
		{
			name: "string for a number", text: tunnel("a", "'50'"),
			want: []string{`a.yaml:12: error WrongType: Tunnel edge/a spec.services[0].podWeight: the value is the string "50", not a whole number; write it without quotes: 50`},
		},
		{
			name: "fraction for a whole number", text: tunnel("a", "0.5"),
			want: []string{`a.yaml:12: error WrongType: Tunnel edge/a spec.services[0].podWeight: the value is the number 0.5, not a whole number; write a whole number`},
		},
		{
			name: "number that does not fit", text: tunnel("a", "99999999999"),
			want: []string{`a.yaml:12: error OutOfRange: Tunnel edge/a spec.services[0].podWeight: the number 99999999999 does not fit: the field holds -2147483648 to 2147483647; choose a number in that range`},
		},
		{
			name: "number for a string", text: strings.Replace(tunnel("a", "50"), "cluster: east", "cluster: 8", 1),
			want: []string{`a.yaml:8: error WrongType: Tunnel edge/a spec.services[0].cluster: the value is the number 8, not a string; write it in quotes: "8"`},
		},
		{
			name: "mapping for a list", text: "apiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: a}\nspec:\n  services:\n    name: x\n",
			want: []string{`a.yaml:6: error WrongType: Tunnel default/a spec.services: the value is a mapping, not a list; write a list: entries that begin with '- '`},
		},
		{
			name: "list for a mapping", text: "apiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: a}\nspec: []\n",
			want: []string{`a.yaml:4: error WrongType: Tunnel default/a spec: the value is a list, not a mapping; write a mapping: lines of 'field: value'`},
		},
		{
			name: "word for a boolean", text: "apiVersion: podway.dev/v1alpha1\nkind: GatewayParameters\nmetadata: {name: a}\nspec: {proxyProtocol: maybe}\n",
			want: []string{`a.yaml:4: error WrongType: GatewayParameters default/a spec.proxyProtocol: the value is the string "maybe", not true or false; write true or false`},
		},
		{
			name: "empty entry of a list", text: "apiVersion: podway.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: a}\nspec:\n  source: {type: Kubeconfig, kubeconfig: {file: a}}\n  allowedTunnels:\n  -\n",
			want: []string{`a.yaml:7: error MissingField: MemberCluster a spec.allowedTunnels[0]: the entry of the list is empty; write the entry, or remove it`},
		},
		{
			name: "key that is there twice", text: tunnel("a", "50") + "    podWeight: 60\n",
			want: []string{`a.yaml:13: error DuplicateKey: Tunnel edge/a spec.services[0].podWeight: the key "podWeight" is there twice; remove one of the two`},
		},
		{
			name: "bad enum", text: tunnel("a", "50") + "  protocol: HTTPS\n",
			want: []string{`a.yaml:13: error InvalidValue: Tunnel edge/a spec.protocol: "HTTPS" is none of the values that the field may have; use HTTP, HTTP2 or GRPC`},
		},
		{
			name: "nothing to send to", text: "apiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: a}\nspec: {}\n",
			want: []string{`a.yaml:4: error NoMembers: Tunnel default/a spec: the tunnel has neither services nor addresses; list at least one Service in spec.services, or one address in spec.addresses`},
		},
		{
			name: "a warning leaves the tunnel in force", text: tunnel("a", "50") + "  - {cluster: east, namespace: default, name: httpbin, port: 8000}\n",
			want: []string{`a.yaml:13: warning DuplicateEntry: Tunnel edge/a spec.services[1]: the entry is the same as spec.services[0], so that their weights add up; remove one of the two`},
		},
		{
			name: "kind that is like another", text: strings.Replace(tunnel("a", "50"), "Tunnel", "Tunel", 1),
			want: []string{`a.yaml:1: error UnknownKind: Tunel edge/a kind: podway does not read the kind Tunel: did you mean Tunnel?; write kind: Tunnel, or move the object out of the configuration`},
		},
		{
			name: "kind that is another", text: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
			want: []string{`a.yaml:1: warning UnknownKind: Deployment a kind: podway does not read the kind Deployment; move the object out of the configuration; it may hold Tunnel, MemberCluster, GatewayParameters, GatewayClass, Gateway, HTTPRoute, ReferenceGrant, Namespace, Secret, ConfigMap`},
		},
		{
			name: "version", text: strings.Replace(tunnel("a", "50"), "v1alpha1", "v1", 1),
			want: []string{`a.yaml:1: error UnknownKind: Tunnel edge/a apiVersion: podway does not read Tunnel of podway.dev/v1; write apiVersion: podway.dev/v1alpha1`},
		},
		{
			name: "group of another product", text: "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\n",
			want: []string{`a.yaml:1: warning UnknownKind: Gateway a apiVersion: podway does not read Gateway of networking.istio.io/v1; write apiVersion: gateway.networking.k8s.io/v1, or move the object out of the configuration if it is another one`},
		},
		{
			name: "no kind", text: "a: b\n",
			want: []string{`a.yaml:1: error MissingField: kind: a document has no kind; set apiVersion and kind, or move the file out of the configuration`},
		},
		{
			name: "no apiVersion", text: "kind: Tunnel\n",
			want: []string{`a.yaml:1: error MissingField: Tunnel  apiVersion: a Tunnel has no apiVersion; set apiVersion to podway.dev/v1alpha1`},
		},
		{
			name: "no name", text: "apiVersion: podway.dev/v1alpha1\nkind: Tunnel\n",
			want: []string{`a.yaml:1: error InvalidName: metadata.name: a Tunnel has no name; set metadata.name`},
		},
		{
			name: "no object", text: "- a\n",
			want: []string{`a.yaml:1: error WrongType: a document is a list, not an object; write an object with apiVersion, kind and metadata`},
		},
		{
			name: "names", text: strings.Replace(tunnel("A_b", "50"), "edge", "Edge", 1),
			want: []string{
				`a.yaml:4: error InvalidName: Tunnel Edge/A_b metadata.name: "A_b" is no name of a Tunnel; use lower case letters, digits, '-' and '.', as DNS names do`,
				`a.yaml:5: error InvalidName: Tunnel Edge/A_b metadata.namespace: "Edge" is no name of a namespace; use lower case letters, digits and '-', at most 63`,
			},
		},
		{
			name: "namespace of what has none", text: "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: a, namespace: b}\nspec: {controllerName: podway.dev/gateway-controller}\n",
			want: []string{`a.yaml:3: error InvalidName: GatewayClass a metadata.namespace: a GatewayClass has no namespace; remove metadata.namespace`},
		},
		{
			name: "labels", text: strings.Replace(tunnel("a", "50"), "namespace: edge", "namespace: edge\n  labels: {team: 'a b', 'x y': z}", 1),
			want: []string{
				`a.yaml:6: error InvalidValue: Tunnel edge/a metadata.labels: the label a b is not valid: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character; correct the label`,
				`a.yaml:6: error InvalidValue: Tunnel edge/a metadata.labels: the label x y is not valid: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character; correct the label`,
			},
		},
		{
			name: "not YAML", text: tunnel("a", "50") + "---\na: [b\nc: d\n",
			want: []string{`a.yaml:14: error InvalidYAML: the file is not valid YAML: did not find expected ',' or ']'; correct the YAML near that line`},
		},
		{
			name: "tabs", text: "a:\n\tb: c\n",
			want: []string{`a.yaml:2: error InvalidYAML: the file is not valid YAML: found character that cannot start any token; correct the YAML near that line`},
		},
		{
			name: "not UTF-8", text: "a: \xff\n",
			want: []string{`a.yaml: error NotUTF8: the file is not UTF-8: byte 3 (counted from 0) begins no character; save the file as UTF-8`},
		},
		{
			name: "aliases that explode", text: bomb(),
			want: []string{`a.yaml:12: error AliasExplosion: ConfigMap default/a: the YAML aliases of the document stand for more than 100000 values; write the values out, or use fewer aliases`},
		},
		{
			name: "alias of itself", text: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  managedFields:\n  - fieldsV1: &d\n      a: *d\n",
			want: []string{`a.yaml:7: error AliasExplosion: ConfigMap default/a metadata.managedFields[0].fieldsV1[a][a]: the anchor d contains an alias of itself; write the value out`},
		},
		{
			name: "anchors and merge keys", text: "apiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: a, namespace: edge}\nspec:\n  services:\n" +
				"  - &first {cluster: east, namespace: default, name: httpbin, port: 8000}\n  - {<<: *first, name: other}\n",
		},
		{
			name: "too deep", text: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, managedFields: [{fieldsV1: " + strings.Repeat("{a: ", 110) + "b" + strings.Repeat("}", 110) + "}]}\n",
			want: []string{`a.yaml:3: error TooDeep: ConfigMap default/a: the document nests more than 100 levels deep; remove what is not part of an object`},
		},
		{
			name: "a Secret's values are not repeated", text: "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {key: 's3cret!', n: 7123}\nstringData: {pin: 4711}\n",
			want: []string{
				`a.yaml:4: error InvalidValue: Secret default/a data[key]: the value is not base64; encode it with base64, or write it as it is below stringData`,
				`a.yaml:4: error WrongType: Secret default/a data[n]: the value is a number, not a string of base64; write a string of base64`,
				`a.yaml:5: error WrongType: Secret default/a stringData[pin]: the value is a number, not a string; write it in quotes`,
			},
		},
		{
			name: "an object of a List", text: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: podway.dev/v1alpha1\n  kind: Tunnel\n  metadata: {name: a}\n  spec:\n    addresses:\n    - address: a.example\n      port: 80\n",
			want: []string{`a.yaml:9: error InvalidValue: Tunnel default/a spec.addresses[0].address: "a.example" is a DNS name, not an address; use the address that the name stands for, or a Service`},
		},
		{
			name: "items that are no list", text: "apiVersion: v1\nkind: List\nitems: a\n",
			want: []string{`a.yaml:3: error WrongType: items: the items of a List are a string, not a list; write a list: entries that begin with '- '`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := directory(t, map[string]string{"a.yaml": test.text})
			require.Equal(t, test.want, problemsOf(load(t, dir), dir))
		})
	}
}

// bomb is a document whose aliases stand for 9^9 values.
func bomb() string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  managedFields:\n  - fieldsV1:\n      a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		last := "*a" + string(rune('0'+i-1))
		b.WriteString("      a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.TrimSuffix(strings.Repeat(last+", ", 9), ", ") + "]\n")
	}
	return b.String()
}

func TestOneBadObjectCostsOnlyItself(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.yaml":     tunnel("a", "50") + "---\n" + tunnel("b", "101") + "---\n" + tunnel("c", "50") + "---\nkind: Tunel\n",
		"b.yaml":     "{",
		"sub/c.yaml": tunnel("d", "50"),
	})
	state := load(t, dir)
	require.Len(t, state.Config.Problems, 3)
	require.Len(t, state.Config.Tunnels, 3)
}

func TestFieldsHaveLines(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": "# a comment\n---\n" + tunnel("a", "50")})
	state := load(t, dir)
	require.Len(t, state.Config.Origins, 1)
	for _, origin := range state.Config.Origins {
		require.Equal(t, dir+"/a.yaml", origin.File)
		require.Equal(t, 3, origin.Line)
		require.Equal(t, 14-origin.Line, origin.Lines.Of("spec.services[0].podWeight"))
		require.Equal(t, 8-origin.Line, origin.Lines.Of("spec"))
	}
}

func TestDocuments(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []chunk
	}{
		{name: "one", text: "a: b\n", want: []chunk{{text: []byte("a: b\n"), line: 1}}},
		{name: "marks", text: "---\na: b\n--- # c\nd: e", want: []chunk{{text: []byte("---\na: b\n"), line: 1}, {text: []byte("--- # c\nd: e"), line: 3}}},
		{name: "ends", text: "a: b\n...\n# c\n---\nd: e\n", want: []chunk{{text: []byte("a: b\n"), line: 1}, {text: []byte("---\nd: e\n"), line: 4}}},
		{name: "no marks", text: "a: |\n  ---\nb: ---x\n---x: y\n", want: []chunk{{text: []byte("a: |\n  ---\nb: ---x\n---x: y\n"), line: 1}}},
		{name: "value on the mark", text: "--- {a: b}\n", want: []chunk{{text: []byte("--- {a: b}\n"), line: 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []chunk
			for part := range documents([]byte(test.text)) {
				got = append(got, part)
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"services", "addresses", "podWeight", "podSelector", "hostHeader", "tls"}
	for name, want := range map[string]string{
		"service": "services", "adresses": "addresses", "PodWeight": "podWeight", "podWieght": "podWeight", "selector": "podSelector",
		"host": "hostHeader", "tsl": "tls", "x": "", "unlike": "", strings.Repeat("services", 10): "",
	} {
		require.Equal(t, want, nearest(name, candidates), name)
	}
}
