package translator

import (
	"regexp"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// TestFiltersThatSpoilEveryRequestAreTold has what Gateway API's definitions and Envoy take, and no request survives.
func TestFiltersThatSpoilEveryRequestAreTold(t *testing.T) {
	set := func(name, value string) gatewayv1.HTTPRouteFilter {
		return gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: &gatewayv1.HTTPHeaderFilter{
			Set: []gatewayv1.HTTPHeader{{Name: gatewayv1.HTTPHeaderName(name), Value: value}},
		}}
	}
	remove := func(name string) gatewayv1.HTTPRouteFilter {
		return gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: &gatewayv1.HTTPHeaderFilter{
			Add: []gatewayv1.HTTPHeader{{Name: "x-a", Value: "a b\té %"}}, Remove: []string{name},
		}}
	}
	full := func(path string) *gatewayv1.HTTPPathModifier {
		return &gatewayv1.HTTPPathModifier{Type: gatewayv1.FullPathHTTPPathModifier, ReplaceFullPath: &path}
	}
	prefix := func(path string) *gatewayv1.HTTPPathModifier {
		return &gatewayv1.HTTPPathModifier{Type: gatewayv1.PrefixMatchHTTPPathModifier, ReplacePrefixMatch: &path}
	}
	rewrite := func(path *gatewayv1.HTTPPathModifier) gatewayv1.HTTPRouteFilter {
		return gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterURLRewrite, URLRewrite: &gatewayv1.HTTPURLRewriteFilter{Path: path}}
	}
	redirect := func(path *gatewayv1.HTTPPathModifier) gatewayv1.HTTPRouteFilter {
		return gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterRequestRedirect, RequestRedirect: &gatewayv1.HTTPRequestRedirectFilter{Path: path}}
	}
	for _, test := range []struct {
		name           string
		filter         gatewayv1.HTTPRouteFilter
		field, message string // empty: it is fine
	}{
		{"a control character", set("x-a", "a\x01b"), "f[0].requestHeaderModifier.set[0].value", "a header's value cannot have line breaks or other control characters"},
		{"DEL", set("x-a", "\x7f"), "f[0].requestHeaderModifier.set[0].value", "a header's value cannot have line breaks or other control characters"},
		{"a line break", set("x-a", "a\r\nb"), "f[0].requestHeaderModifier.set[0].value", "a header's value cannot have line breaks or other control characters"},
		{"a length", set("Content-Length", "0"), "f[0].requestHeaderModifier.set[0].name", "Content-Length says how long the body is, and a modifier does not know that"},
		{"an encoding", set("transfer-encoding", "chunked"), "f[0].requestHeaderModifier.set[0].name", "transfer-encoding says how long the body is, and a modifier does not know that"},
		{"no length", remove("content-length"), "", ""},
		{"a path without a slash", rewrite(full("x")), "f[0].urlRewrite.path.replaceFullPath", `the path "x" does not begin with '/'`},
		{"a prefix without a slash", rewrite(prefix("?q")), "f[0].urlRewrite.path.replacePrefixMatch", `the path "?q" does not begin with '/'`},
		{"a path with a space", rewrite(prefix("/a b")), "f[0].urlRewrite.path.replacePrefixMatch", `the path "/a b" has spaces or control characters`},
		{"a path with a control character", rewrite(full("/\x01")), "f[0].urlRewrite.path.replaceFullPath", `the path "/\x01" has spaces or control characters`},
		{"a redirect that goes on with the host", redirect(full(".example.com")), "f[0].requestRedirect.path.replaceFullPath", `the path ".example.com" does not begin with '/'`},
		{"an empty path", rewrite(full("")), "", ""},
		{"an empty prefix", rewrite(prefix("")), "", ""},
		{"a path with a query", rewrite(full("/é%20?a=b")), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := &listener{spec: &gatewayv1.Listener{Protocol: gatewayv1.HTTPProtocolType, Port: 80}}
			modifiers, problem := readFilters([]gatewayv1.HTTPRouteFilter{test.filter}, "f", &gatewayv1.HTTPRouteMatch{}, l)
			switch {
			case test.message == "" && problem != nil:
				t.Errorf("it is fine, and has a problem: %+v", problem)
			case test.message != "" && (problem == nil || problem.code != api.CodeInvalidValue || problem.field != test.field || problem.message != test.message):
				t.Errorf("the problem is %+v", problem)
			case test.name == "an empty path" && modifiers.path.full != "/":
				t.Errorf("an empty path becomes %q and not /", modifiers.path.full)
			}
		})
	}
}

// apply does to a path what Envoy does with a rewrite of a matched prefix.
func apply(rewrite *pathRewrite, prefix, path string) string {
	switch {
	case rewrite == nil:
		return path
	case rewrite.prefix != "":
		return rewrite.prefix + strings.TrimPrefix(path, prefix)
	default:
		pattern := regexp.MustCompile(rewrite.regex.GetPattern().GetRegex())
		return pattern.ReplaceAllString(path, strings.ReplaceAll(rewrite.regex.GetSubstitution(), `\1`, "${1}"))
	}
}
