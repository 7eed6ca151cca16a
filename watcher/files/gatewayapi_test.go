package files

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

func TestGatewayAPIDefaults(t *testing.T) {
	for _, version := range []string{"v1", "v1beta1"} {
		dir := directory(t, map[string]string{"a.yaml": `
apiVersion: gateway.networking.k8s.io/` + version + `
kind: Gateway
metadata: {name: g, namespace: edge, creationTimestamp: null}
spec:
  gatewayClassName: podway
  listeners:
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}
status: {anything: goes}
---
apiVersion: gateway.networking.k8s.io/` + version + `
kind: HTTPRoute
metadata: {name: r, namespace: edge}
spec:
  parentRefs: [{name: g}]
  rules:
  - matches: [{headers: [{name: a, value: b}], queryParams: [{name: a, value: b}]}]
    backendRefs: [{group: podway.dev, kind: Tunnel, name: a}]
  - filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]
---
apiVersion: gateway.networking.k8s.io/` + version + `
kind: ReferenceGrant
metadata: {name: x, namespace: edge}
spec: {from: [{group: podway.dev, kind: Tunnel, namespace: a}], to: [{group: "", kind: Secret}]}
---
apiVersion: gateway.networking.k8s.io/` + version + `
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
`})
		state := load(t, dir)
		require.Empty(t, problemsOf(state, dir))
		edge := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "edge", Name: name} }
		requireYAML(t, `{gatewayClassName: podway, listeners: [{name: https, port: 443, protocol: HTTPS, allowedRoutes: {namespaces: {from: Same}},
			tls: {mode: Terminate, certificateRefs: [{group: "", kind: Secret, name: c}]}}]}`, state.Config.Gateways[edge("g")].Spec)
		requireYAML(t, `{parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}], rules: [
			{matches: [{path: {type: PathPrefix, value: /}, headers: [{type: Exact, name: a, value: b}], queryParams: [{type: Exact, name: a, value: b}]}],
				backendRefs: [{group: podway.dev, kind: Tunnel, name: a, weight: 1}]},
			{matches: [{path: {type: PathPrefix, value: /}}], filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 302}}]}]}`, state.Config.HTTPRoutes[edge("r")].Spec)
		require.Equal(t, "gateway.networking.k8s.io/v1", state.Config.HTTPRoutes[edge("r")].APIVersion)
		require.Len(t, state.Config.ReferenceGrants, 1)
		require.Len(t, state.Config.GatewayClasses, 1)
	}
}

func requireYAML(t *testing.T, want string, got any) {
	t.Helper()
	text, err := yaml.Marshal(got)
	require.NoError(t, err)
	var wanted any
	require.NoError(t, yaml.Unmarshal([]byte(want), &wanted))
	normal, err := yaml.Marshal(wanted)
	require.NoError(t, err)
	require.Equal(t, string(normal), string(text))
}

func TestProblemsOfGatewayAPI(t *testing.T) {
	gateway := func(listener string) string {
		return "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {gatewayClassName: c, listeners: [" + listener + "]}\n"
	}
	route := func(rule string) string {
		return "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  rules: [" + rule + "]\n"
	}
	path := func(value string) string { return route("{matches: [{path: {value: '" + value + "'}}]}") }
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{name: "no listeners", text: gateway(""), want: []string{"a.yaml:4: error TooFew: Gateway default/g spec.listeners: there are 0 entries, and at least 1 must be; add entries, to at least 1"}},
		{name: "required fields", text: gateway("{port: 80}"), want: []string{
			"a.yaml:4: error MissingField: Gateway default/g spec.listeners[0].name: the field is required; set it",
			"a.yaml:4: error MissingField: Gateway default/g spec.listeners[0].protocol: the field is required; set it",
		}},
		{name: "port", text: gateway("{name: a, port: 0, protocol: HTTP}"), want: []string{"a.yaml:4: error OutOfRange: Gateway default/g spec.listeners[0].port: 0 is less than 1; set it to at least 1"}},
		{name: "port above", text: gateway("{name: a, port: 65536, protocol: HTTP}"), want: []string{"a.yaml:4: error OutOfRange: Gateway default/g spec.listeners[0].port: 65536 is more than 65535; set it to at most 65535"}},
		{name: "host name", text: gateway("{name: a, port: 80, protocol: HTTP, hostname: A.example}"), want: []string{
			`a.yaml:4: error InvalidValue: Gateway default/g spec.listeners[0].hostname: "A.example" does not have the form that the field wants; write a value that matches ^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`,
		}},
		{name: "TLS of HTTP", text: gateway("{name: a, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: c}]}}"), want: []string{
			"a.yaml:4: error Conflict: Gateway default/g spec.listeners[0].tls: a listener of protocol HTTP has no TLS; remove tls, or set protocol to HTTPS",
		}},
		{name: "no certificate", text: gateway("{name: a, port: 443, protocol: HTTPS, tls: {}}"), want: []string{
			"a.yaml:4: error MissingField: Gateway default/g spec.listeners[0].tls.certificateRefs: a listener that terminates TLS needs a certificate; name a Secret of type kubernetes.io/tls",
		}},
		{name: "passthrough of HTTPS", text: gateway("{name: a, port: 443, protocol: HTTPS, tls: {mode: Passthrough}}"), want: []string{
			"a.yaml:4: error Conflict: Gateway default/g spec.listeners[0].tls.mode: protocol HTTPS needs mode Terminate; set mode to Terminate, or protocol to TLS",
		}},
		{name: "host name of TCP", text: gateway("{name: a, port: 80, protocol: TCP, hostname: a.example}"), want: []string{
			"a.yaml:4: error Conflict: Gateway default/g spec.listeners[0].hostname: a listener of protocol TCP has no host name; remove it",
		}},
		{name: "method", text: route("{matches: [{method: FETCH}]}"), want: []string{
			`a.yaml:5: error InvalidValue: HTTPRoute default/r spec.rules[0].matches[0].method: "FETCH" is none of the values that the field may have; use GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE or PATCH`,
		}},
		{name: "status of a redirect", text: route("{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 200}}]}"), want: []string{
			`a.yaml:5: error InvalidValue: HTTPRoute default/r spec.rules[0].filters[0].requestRedirect.statusCode: 200 is none of the values that the field may have; use 301, 302, 303, 307 or 308`,
		}},
		{name: "header twice", text: route("{matches: [{headers: [{name: a, value: b}, {name: a, value: c}]}]}"), want: []string{
			"a.yaml:5: error DuplicateEntry: HTTPRoute default/r spec.rules[0].matches[0].headers[1]: the entry has the same name as spec.rules[0].matches[0].headers[0]; remove one of the two",
		}},
		{name: "relative path", text: path("a"), want: []string{"a.yaml:5: error InvalidValue: HTTPRoute default/r spec.rules[0].matches[0].path.value: the path \"a\" does not begin with '/'; write the path as it is after normalization, such as /api/v1"}},
		{name: "path with slashes", text: path("/a//b"), want: []string{"a.yaml:5: error InvalidValue: HTTPRoute default/r spec.rules[0].matches[0].path.value: the path \"/a//b\" has \"//\" in it, which no request that is matched has; write the path as it is after normalization, such as /api/v1"}},
		{name: "path with dots", text: path("/a/.."), want: []string{"a.yaml:5: error InvalidValue: HTTPRoute default/r spec.rules[0].matches[0].path.value: the path \"/a/..\" ends with dots, which no request that is matched does; write the path as it is after normalization, such as /api/v1"}},
		{name: "path with a space", text: path("/a b"), want: []string{"a.yaml:5: error InvalidValue: HTTPRoute default/r spec.rules[0].matches[0].path.value: the path \"/a b\" has characters that are not allowed in one; write the path as it is after normalization, such as /api/v1"}},
		{name: "filter without its field", text: route("{filters: [{type: URLRewrite, requestRedirect: {}}]}"), want: []string{
			"a.yaml:5: error MissingField: HTTPRoute default/r spec.rules[0].filters[0].urlRewrite: a filter of type URLRewrite needs the field; set it, or change the type",
			"a.yaml:5: error Conflict: HTTPRoute default/r spec.rules[0].filters[0].requestRedirect: the field belongs to type RequestRedirect, and the type is URLRewrite; set type to RequestRedirect, or remove requestRedirect",
		}},
		{name: "path modifier without its field", text: route("{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /}}}]}"), want: []string{
			"a.yaml:5: error MissingField: HTTPRoute default/r spec.rules[0].filters[0].urlRewrite.path.replaceFullPath: type ReplaceFullPath needs the field; set it, or change the type",
			"a.yaml:5: error Conflict: HTTPRoute default/r spec.rules[0].filters[0].urlRewrite.path.replacePrefixMatch: the field belongs to type ReplacePrefixMatch, and the type is ReplaceFullPath; set type to ReplacePrefixMatch, or remove replacePrefixMatch",
		}},
		{name: "redirect and backend", text: route("{backendRefs: [{name: a, port: 80}], filters: [{type: RequestRedirect, requestRedirect: {}}]}"), want: []string{
			"a.yaml:5: error Conflict: HTTPRoute default/r spec.rules[0].backendRefs: a rule that redirects sends nothing to a backend; remove backendRefs, or the filter RequestRedirect",
		}},
		{name: "CORS for all and some", text: route("{filters: [{type: CORS, cors: {allowOrigins: ['*', 'https://a.example']}}]}"), want: []string{
			"a.yaml:5: error Conflict: HTTPRoute default/r spec.rules[0].filters[0].cors.allowOrigins: \"*\" is all, so that the others say nothing; keep \"*\" alone, or remove it",
		}},
		{name: "timeouts", text: route("{timeouts: {request: 1s, backendRequest: 2s}}"), want: []string{
			"a.yaml:5: error Conflict: HTTPRoute default/r spec.rules[0].timeouts.backendRequest: the timeout of one try, 2s, is longer than that of the request, 1s; set it to at most the timeout of the request",
		}},
		{name: "parents and names", text: "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: g}, {name: g, kind: Gateway}]\n  rules: [{name: a}, {name: a}]\n", want: []string{
			"a.yaml:5: error DuplicateEntry: HTTPRoute default/r spec.parentRefs[1]: the parent is the same as spec.parentRefs[0]; remove one of the two, or name different listeners with sectionName",
			"a.yaml:6: error DuplicateEntry: HTTPRoute default/r spec.rules[1].name: another rule is called a; give each rule a name of its own",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := directory(t, map[string]string{"a.yaml": test.text})
			require.ElementsMatch(t, test.want, problemsOf(load(t, dir), dir))
		})
	}
}

// TestDefinitionsAreThoseOfTheModule generates the definitions again and compares.
func TestDefinitionsAreThoseOfTheModule(t *testing.T) {
	want, err := os.ReadFile("schema/gatewayapi.json")
	require.NoError(t, err)
	generator, err := filepath.Abs("schema/generate.go")
	require.NoError(t, err)
	dir := t.TempDir()
	command := exec.Command("go", "build", "-o", filepath.Join(dir, "generate"), generator)
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	run := exec.Command(filepath.Join(dir, "generate"), filepath.Join(dir, "gatewayapi.json"))
	out, err = run.CombinedOutput()
	require.NoError(t, err, string(out))
	got, err := os.ReadFile(filepath.Join(dir, "gatewayapi.json"))
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run: go generate ./watcher/files/schema")
}
