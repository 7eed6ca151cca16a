package translator

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// modifiers is what the filters of a rule or of a backendRef do.
type modifiers struct {
	addRequest, addResponse       []*corev3.HeaderValueOption
	removeRequest, removeResponse []string
	redirect                      *routev3.RedirectAction
	host                          string
	path                          *pathRewrite
	cors                          *corsv3.CorsPolicy
}

// readFilters turns filters into modifiers. The problem's field is whole.
func readFilters(filters []gatewayv1.HTTPRouteFilter, field string, match *gatewayv1.HTTPRouteMatch, l *listener) (*modifiers, *fieldProblem) {
	m := &modifiers{}
	seen := map[gatewayv1.HTTPRouteFilterType]bool{}
	for i := range filters {
		filter := &filters[i]
		at := fmt.Sprintf("%s[%d]", field, i)
		if seen[filter.Type] {
			return nil, &fieldProblem{api.CodeConflict, at, fmt.Sprintf("filter %s is there twice", filter.Type), "put both into one filter"}
		}
		seen[filter.Type] = true
		if problem := m.read(filter, match, l); problem != nil {
			problem.field = at + "." + problem.field
			return nil, problem
		}
	}
	if m.redirect != nil && (m.host != "" || m.path != nil) {
		return nil, &fieldProblem{api.CodeConflict, field, "a rule cannot both redirect a request and rewrite it", "remove RequestRedirect or URLRewrite"}
	}
	return m, nil
}

func (m *modifiers) read(filter *gatewayv1.HTTPRouteFilter, match *gatewayv1.HTTPRouteMatch, l *listener) *fieldProblem {
	missing := func(field string) *fieldProblem {
		return &fieldProblem{api.CodeMissingField, field, fmt.Sprintf("a filter of type %s needs it", filter.Type), "add it"}
	}
	switch filter.Type {
	case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
		if filter.RequestHeaderModifier == nil {
			return missing("requestHeaderModifier")
		}
		var problem *fieldProblem
		m.addRequest, m.removeRequest, problem = readHeaders(filter.RequestHeaderModifier, "requestHeaderModifier")
		return problem
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		if filter.ResponseHeaderModifier == nil {
			return missing("responseHeaderModifier")
		}
		var problem *fieldProblem
		m.addResponse, m.removeResponse, problem = readHeaders(filter.ResponseHeaderModifier, "responseHeaderModifier")
		return problem
	case gatewayv1.HTTPRouteFilterURLRewrite:
		if filter.URLRewrite == nil {
			return missing("urlRewrite")
		}
		m.host = string(orDefault(filter.URLRewrite.Hostname, ""))
		var problem *fieldProblem
		m.path, problem = readPath(filter.URLRewrite.Path, match, "urlRewrite.path")
		return problem
	case gatewayv1.HTTPRouteFilterRequestRedirect:
		if l == nil {
			return &fieldProblem{codeUnsupported, "type", "a redirect is supported for a whole rule only; this share of the requests is answered 500", "move the filter to the rule"}
		}
		if filter.RequestRedirect == nil {
			return missing("requestRedirect")
		}
		var problem *fieldProblem
		m.redirect, problem = readRedirect(filter.RequestRedirect, match, l)
		return problem
	case gatewayv1.HTTPRouteFilterCORS:
		if filter.CORS == nil {
			return missing("cors")
		}
		m.cors = corsPolicy(filter.CORS)
		return nil
	default:
		return &fieldProblem{codeUnsupported, "type", fmt.Sprintf("filter %s is not supported yet; the rule answers 500", filter.Type), "remove the filter"}
	}
}

var redirectCodes = map[int]routev3.RedirectAction_RedirectResponseCode{
	301: routev3.RedirectAction_MOVED_PERMANENTLY,
	302: routev3.RedirectAction_FOUND,
	303: routev3.RedirectAction_SEE_OTHER,
	307: routev3.RedirectAction_TEMPORARY_REDIRECT,
	308: routev3.RedirectAction_PERMANENT_REDIRECT,
}

func readRedirect(filter *gatewayv1.HTTPRequestRedirectFilter, match *gatewayv1.HTTPRouteMatch, l *listener) (*routev3.RedirectAction, *fieldProblem) {
	code, ok := redirectCodes[orDefault(filter.StatusCode, 302)]
	if !ok {
		return nil, &fieldProblem{api.CodeInvalidValue, "requestRedirect.statusCode", fmt.Sprintf("a redirect cannot have status %d", *filter.StatusCode), "use 301, 302, 303, 307 or 308"}
	}
	action := &routev3.RedirectAction{ResponseCode: code, HostRedirect: string(orDefault(filter.Hostname, ""))}
	if filter.Scheme != nil {
		if *filter.Scheme != "http" && *filter.Scheme != "https" {
			return nil, &fieldProblem{api.CodeInvalidValue, "requestRedirect.scheme", fmt.Sprintf("scheme %q is not supported", *filter.Scheme), "use http or https"}
		}
		action.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: *filter.Scheme}
	}
	action.PortRedirect = redirectPort(filter, l)
	path, problem := readPath(filter.Path, match, "requestRedirect.path")
	if problem != nil {
		return nil, problem
	}
	switch {
	case path == nil:
	case path.full != "":
		action.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: path.full}
	case path.prefix != "":
		action.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: path.prefix}
	default:
		action.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{RegexRewrite: path.regex}
	}
	return action, nil
}

// redirectPort follows HTTPRequestRedirectFilter.port: the given port; else the scheme's own where a scheme is
// given; else the listener's. 0 leaves the port out, as it should be where it is the scheme's own.
func redirectPort(filter *gatewayv1.HTTPRequestRedirectFilter, l *listener) uint32 {
	listenerScheme := "http"
	if l.spec.Protocol == gatewayv1.HTTPSProtocolType {
		listenerScheme = "https"
	}
	scheme := orDefault(filter.Scheme, listenerScheme)
	usual := map[string]uint32{"http": 80, "https": 443}
	port := uint32(l.spec.Port)
	if filter.Scheme != nil {
		port = usual[scheme]
	}
	port = uint32(orDefault(filter.Port, gatewayv1.PortNumber(port)))
	// Without a port of its own Envoy keeps the one of the request's Host, unless the host is replaced too.
	if port == usual[scheme] && (filter.Hostname != nil || uint32(l.spec.Port) == usual[listenerScheme]) {
		return 0
	}
	return port
}

func corsPolicy(filter *gatewayv1.HTTPCORSFilter) *corsv3.CorsPolicy {
	policy := &corsv3.CorsPolicy{
		AllowMethods:     joinAll(filter.AllowMethods),
		AllowHeaders:     joinAll(filter.AllowHeaders),
		ExposeHeaders:    joinAll(filter.ExposeHeaders),
		MaxAge:           "5",
		AllowCredentials: wrapperspb.Bool(orDefault(filter.AllowCredentials, false)),
		// What is not allowed still reaches the Pods, without the headers: CORS is for browsers to enforce.
		ForwardNotMatchingPreflights: wrapperspb.Bool(false),
	}
	if filter.MaxAge > 0 {
		policy.MaxAge = strconv.Itoa(int(filter.MaxAge))
	}
	for _, origin := range filter.AllowOrigins {
		policy.AllowOriginStringMatch = append(policy.AllowOriginStringMatch, originMatcher(string(origin)))
	}
	return policy
}

func originMatcher(origin string) *matcherv3.StringMatcher {
	if !strings.Contains(origin, "*") {
		return exactly(origin)
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(origin), `\*`, ".*")
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: pattern}}}
}

func joinAll[S ~string](values []S) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = string(value)
	}
	return strings.Join(texts, ",")
}

// applyHeaders sets what holds for every action.
func (m *modifiers) applyHeaders(route *routev3.Route) {
	route.RequestHeadersToAdd, route.RequestHeadersToRemove = m.addRequest, m.removeRequest
	route.ResponseHeadersToAdd, route.ResponseHeadersToRemove = m.addResponse, m.removeResponse
	if m.cors != nil {
		route.TypedPerFilterConfig = map[string]*anypb.Any{corsFilter: pack(m.cors)}
	}
}

// applyRewrite changes host and path. A hostname wins over the tunnels' own.
func (m *modifiers) applyRewrite(action *routev3.RouteAction) {
	if m.host != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: m.host}
		action.AppendXForwardedHost = true
	}
	switch {
	case m.path == nil:
	case m.path.prefix != "":
		action.PrefixRewrite = m.path.prefix
	default:
		action.RegexRewrite = m.path.regex
	}
}

// shareFilters sets the filters of one backendRef.
func (f *front) shareFilters(share *routev3.WeightedCluster_ClusterWeight, b *routeBackend) *fieldProblem {
	m, problem := readFilters(b.ref.Filters, b.field+".filters", &gatewayv1.HTTPRouteMatch{}, nil)
	if problem != nil {
		return problem
	}
	if m.path != nil || m.cors != nil || m.redirect != nil {
		return &fieldProblem{codeUnsupported, b.field + ".filters", "CORS, redirects and new paths are supported for a whole rule only; this share of the requests is answered 500", "move the filter to the rule"}
	}
	share.RequestHeadersToAdd, share.RequestHeadersToRemove = m.addRequest, m.removeRequest
	share.ResponseHeadersToAdd, share.ResponseHeadersToRemove = m.addResponse, m.removeResponse
	if m.host != "" {
		share.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: m.host}
	}
	return nil
}
