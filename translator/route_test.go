package translator

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api/snapshot"
)

func TestHostnamesOfListenerAndRouteIntersect(t *testing.T) {
	for _, test := range []struct {
		listener string
		route    []gatewayv1.Hostname
		want     []string
	}{
		{"", nil, []string{""}},
		{"", []gatewayv1.Hostname{"a.example.com"}, []string{"a.example.com"}},
		{"a.example.com", nil, []string{"a.example.com"}},
		{"a.example.com", []gatewayv1.Hostname{"A.Example.com", "b.example.com"}, []string{"a.example.com"}},
		{"*.example.com", []gatewayv1.Hostname{"a.example.com", "example.com", "x.y.example.com"}, []string{"a.example.com", "x.y.example.com"}},
		{"a.example.com", []gatewayv1.Hostname{"*.example.com"}, []string{"a.example.com"}},
		{"*.example.com", []gatewayv1.Hostname{"*.com"}, []string{"*.example.com"}},
		{"*.example.com", []gatewayv1.Hostname{"*.a.example.com"}, []string{"*.a.example.com"}},
		{"*.example.com", []gatewayv1.Hostname{"*.example.org", "badexample.com"}, nil},
	} {
		require.Equal(t, test.want, intersection(test.listener, test.route), "%q and %q", test.listener, test.route)
	}
}

func TestAHostnameBelongsToItsMostSpecificListener(t *testing.T) {
	listeners := []*listener{{hostname: ""}, {hostname: "*.example.com"}, {hostname: "*.a.example.com"}, {hostname: "a.example.com"}}
	for hostname, want := range map[string]string{
		"":                  "",
		"other.org":         "",
		"b.example.com":     "*.example.com",
		"*.b.example.com":   "*.example.com",
		"x.a.example.com":   "*.a.example.com",
		"*.a.example.com":   "*.a.example.com",
		"a.example.com":     "a.example.com",
		"*.example.com":     "*.example.com",
		"example.com":       "",
		"x.y.a.example.com": "*.a.example.com",
	} {
		require.Equal(t, want, mostSpecific(listeners, hostname).hostname, hostname)
	}
}

// The order of HTTPRouteRule.matches in Gateway API's specification.
func TestRoutesStandInTheOrderOfTheSpecification(t *testing.T) {
	prefix, exact, regex := gatewayv1.PathMatchPathPrefix, gatewayv1.PathMatchExact, gatewayv1.PathMatchRegularExpression
	path := func(kind *gatewayv1.PathMatchType, value string) *gatewayv1.HTTPPathMatch {
		return &gatewayv1.HTTPPathMatch{Type: kind, Value: &value}
	}
	get := gatewayv1.HTTPMethodGet
	header := []gatewayv1.HTTPHeaderMatch{{Name: "a", Value: "1"}}
	query := []gatewayv1.HTTPQueryParamMatch{{Name: "a", Value: "1"}}
	inOrder := []gatewayv1.HTTPRouteMatch{
		{Path: path(&exact, "/a")},
		{Path: path(&regex, "/a.*")},
		{Path: path(&prefix, "/a/b/c"), Method: &get},
		{Path: path(&prefix, "/a/b/c"), Headers: header, QueryParams: query},
		{Path: path(&prefix, "/a/b/c"), Headers: header},
		{Path: path(&prefix, "/a/b/c"), QueryParams: query},
		{Path: path(&prefix, "/a/b/c/")},
		{Path: path(&prefix, "/a")},
		{},
	}
	shuffled := slices.Clone(inOrder)
	slices.Reverse(shuffled)
	rules := make([]gatewayv1.HTTPRouteRule, len(shuffled))
	for i := range shuffled {
		rules[i].Matches = shuffled[i : i+1]
	}
	route := &gatewayv1.HTTPRoute{Spec: gatewayv1.HTTPRouteSpec{Rules: rules}}
	f := &front{in: &input{cfg: &snapshot.Config{}, grants: &grants{}}}
	l := &listener{spec: &gatewayv1.Listener{}, hosts: map[string][]*gatewayv1.HTTPRoute{"": {route}}}
	for i, c := range f.virtualHostRoutes(l, "") {
		require.Equal(t, len(inOrder)-1-i, c.rule, "place %d", i)
	}
}

func TestPrefixesAreReplacedBySegments(t *testing.T) {
	// The table of HTTPPathModifier.replacePrefixMatch: prefix, replacement, path, what comes of it.
	for _, test := range [][4]string{
		{"/foo", "/xyz", "/foo/bar", "/xyz/bar"},
		{"/foo", "/xyz/", "/foo/bar", "/xyz/bar"},
		{"/foo/", "/xyz", "/foo/bar", "/xyz/bar"},
		{"/foo/", "/xyz/", "/foo/bar", "/xyz/bar"},
		{"/foo", "/xyz", "/foo", "/xyz"},
		{"/foo/", "/xyz", "/foo/", "/xyz/"},
		{"/foo", "", "/foo/bar", "/bar"},
		{"/foo/", "", "/foo/bar", "/bar"},
		{"/foo", "", "/foo", "/"},
		{"/foo", "/", "/foo", "/"},
		{"/foo", "/", "/foo/bar", "/bar"},
		{"/foo", "/", "/foo/", "/"},
		{"/", "/xyz", "/bar", "/xyz/bar"},
		{"/", "/", "/bar", "/bar"},
	} {
		rewrite := rewritePrefix(strings.TrimRight(test[0], "/"), strings.TrimRight(test[1], "/"))
		require.Equal(t, test[3], apply(rewrite, strings.TrimRight(test[0], "/"), test[2]), "%v", test)
	}
}

func TestRedirectsNameThePortThatTheSpecificationAsksFor(t *testing.T) {
	http, https, port := "http", "https", gatewayv1.PortNumber(9000)
	host := gatewayv1.PreciseHostname("example.com")
	for _, test := range []struct {
		protocol gatewayv1.ProtocolType
		listener gatewayv1.PortNumber
		filter   gatewayv1.HTTPRequestRedirectFilter
		want     uint32
	}{
		{gatewayv1.HTTPProtocolType, 80, gatewayv1.HTTPRequestRedirectFilter{}, 0},
		{gatewayv1.HTTPProtocolType, 8080, gatewayv1.HTTPRequestRedirectFilter{}, 8080},
		{gatewayv1.HTTPProtocolType, 80, gatewayv1.HTTPRequestRedirectFilter{Scheme: &https}, 0},
		{gatewayv1.HTTPProtocolType, 8080, gatewayv1.HTTPRequestRedirectFilter{Scheme: &https}, 443},
		{gatewayv1.HTTPProtocolType, 8080, gatewayv1.HTTPRequestRedirectFilter{Scheme: &https, Hostname: &host}, 0},
		{gatewayv1.HTTPSProtocolType, 443, gatewayv1.HTTPRequestRedirectFilter{}, 0},
		{gatewayv1.HTTPSProtocolType, 443, gatewayv1.HTTPRequestRedirectFilter{Scheme: &http}, 0},
		{gatewayv1.HTTPProtocolType, 80, gatewayv1.HTTPRequestRedirectFilter{Port: &port}, 9000},
	} {
		l := &listener{spec: &gatewayv1.Listener{Protocol: test.protocol, Port: test.listener}}
		require.Equal(t, test.want, redirectPort(&test.filter, l), "%+v", test)
	}
}
