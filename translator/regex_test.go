package translator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/envoy"
)

// TestRegularExpressionsThatEnvoyRefusesAreTold has those that Go takes and Envoy 1.40 does not, and their neighbors that both take: TestEnvoyAcceptsRegularExpressions
// asks Envoy itself.
func TestRegularExpressionsThatEnvoyRefusesAreTold(t *testing.T) {
	for _, test := range refusedRegexes {
		problem := regexFault(test.regex)
		if problem == nil || problem.code != codeInvalidRegularExpression || !strings.Contains(problem.message, test.message) {
			t.Errorf("%s: the problem is %+v, and it should say %q", test.regex, problem, test.message)
		}
	}
	for _, regex := range acceptedRegexes {
		if problem := regexFault(regex); problem != nil {
			t.Errorf("%s: %+v", regex, problem)
		}
	}
}

var refusedRegexes = []struct{ regex, message string }{
	{``, "is not a regular expression"},
	{`a(?!b)`, "is not a regular expression"},
	{strings.Repeat("a", maxRegexBytes+1), "longer than 1024"},
	{`\x{100}`, `Envoy matches bytes, and \x{100} is none`},
	{`/a[\x{80}-\x{10FFFF}]`, `\x{10FFFF} is none`},
	{`\p{Letter}`, `Envoy's RE2 has no class \p{Letter}`},
	{`[^\P{Uppercase_Letter}]`, `no class \P{Uppercase_Letter}`},
	{`\p{^greek}`, `no class \p{^greek}`},
	{`\p{lu}`, `no class \p{lu}`},
	{`\p{Cn}`, `no class \p{Cn}`},
	{`\p{LC}`, `no class \p{LC}`},
	{`\p{ASCII}`, `no class \p{ASCII}`},
	{`\p{Garay}`, `no class \p{Garay}`},
	{`\\\p{digit}`, `no class \p{digit}`},
	{`\Qa\E\p{Letter}`, `no class \p{Letter}`},
}

var acceptedRegexes = []string{
	`\x{FF}`, `\x{0}`, `\xff`, `é+`, `[日本]`, `\pL`, `\PN`, `\p{L}`, `\p{^Greek}`, `[\p{Lu}a]`, `\p{Any}`, `\p{Old_Italic}`, `\Q\p{Letter}\x{1000}\E`, `\Q\p{Letter}`,
	`\\p{1}`, `\\x{1000}`, `\\`, `(?<n>a)`, `(?P<n>a)`, `\x{00000041}`,
}

// TestEnvoyAcceptsRegularExpressions has a real Envoy validate a route with each of those that are accepted.
func TestEnvoyAcceptsRegularExpressions(t *testing.T) {
	path, err := envoy.Find()
	if err != nil {
		t.Fatal(err)
	}
	picture := []byte(gatewayClass + `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: test, namespace: edge}
spec:
  gatewayClassName: podway
  listeners: [{name: http, protocol: HTTP, port: 8080}]
`)
	regexes := slices.Clone(acceptedRegexes)
	for _, name := range slices.Sorted(maps.Keys(unicode.Scripts)) {
		if isClassOfRE2(name) { // what a newer Go has, Envoy may not
			regexes = append(regexes, `\p{`+name+`}`)
		}
	}
	for i, regex := range regexes {
		picture = fmt.Appendf(picture, `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route-%d, namespace: edge}
spec:
  parentRefs: [{name: test}]
  rules: [{matches: [{path: {type: RegularExpression, value: %q}}]}]
`, i, regex)
	}
	p := mustPicture(t, picture)
	plan := Translate(p.cfg, nil)
	if problems := plan.Problems(); len(problems) > 0 {
		t.Fatalf("the regular expressions have problems: %+v", problems)
	}
	config, err := envoy.Static(envoy.BootstrapConfig{Gateway: types.NamespacedName{Namespace: "edge", Name: "test"}, NodeID: "test"}, withEndpoints(p, plan))
	if err != nil {
		t.Fatal(err)
	}
	if err := envoy.Validate(context.Background(), path, config); err != nil {
		t.Error(err)
	}
}
