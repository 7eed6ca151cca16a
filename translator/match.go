package translator

import (
	"fmt"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// fieldProblem is a Problem of a field below one that the caller knows.
type fieldProblem struct {
	code, field, message, remedy string
}

// compileMatch turns one match into Envoy's, with its rank among others.
func compileMatch(match *gatewayv1.HTTPRouteMatch) (compiled, *fieldProblem) {
	c := compiled{route: &routev3.Route{Match: &routev3.RouteMatch{}}}
	if problem := c.matchPath(match.Path); problem != nil {
		return c, problem
	}
	if match.Method != nil {
		c.method = 1
		c.route.Match.Headers = append(c.route.Match.Headers, headerMatcher(":method", exactly(string(*match.Method))))
	}
	seen := map[string]bool{}
	for i, header := range match.Headers {
		name := strings.ToLower(string(header.Name))
		if seen[name] {
			continue // the first of a name counts, says HTTPRouteMatch.headers
		}
		seen[name] = true
		value, problem := stringMatcher(orDefault(header.Type, gatewayv1.HeaderMatchExact) == gatewayv1.HeaderMatchRegularExpression, header.Value)
		if problem != nil {
			problem.field = fmt.Sprintf("headers[%d].value", i)
			return c, problem
		}
		c.headers++
		if name == "host" {
			name = ":authority"
		}
		c.route.Match.Headers = append(c.route.Match.Headers, headerMatcher(name, value))
	}
	seen = map[string]bool{}
	for i, query := range match.QueryParams {
		if seen[string(query.Name)] {
			continue
		}
		seen[string(query.Name)] = true
		value, problem := stringMatcher(orDefault(query.Type, gatewayv1.QueryParamMatchExact) == gatewayv1.QueryParamMatchRegularExpression, query.Value)
		if problem != nil {
			problem.field = fmt.Sprintf("queryParams[%d].value", i)
			return c, problem
		}
		c.queries++
		c.route.Match.QueryParameters = append(c.route.Match.QueryParameters, &routev3.QueryParameterMatcher{
			Name:                         string(query.Name),
			QueryParameterMatchSpecifier: &routev3.QueryParameterMatcher_StringMatch{StringMatch: value},
		})
	}
	return c, nil
}

func (c *compiled) matchPath(path *gatewayv1.HTTPPathMatch) *fieldProblem {
	kind, value := gatewayv1.PathMatchPathPrefix, "/"
	if path != nil {
		kind, value = orDefault(path.Type, kind), orDefault(path.Value, value)
	}
	c.pathLength = len(value)
	switch kind {
	case gatewayv1.PathMatchExact:
		c.pathRank = 3
		c.route.Match.PathSpecifier = &routev3.RouteMatch_Path{Path: value}
	case gatewayv1.PathMatchPathPrefix:
		c.pathRank = 1
		trimmed := strings.TrimRight(value, "/")
		c.pathLength = len(trimmed)
		if trimmed == "" {
			c.route.Match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
		} else {
			c.route.Match.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: trimmed}
		}
	case gatewayv1.PathMatchRegularExpression:
		c.pathRank = 2
		matcher, problem := stringMatcher(true, value)
		if problem != nil {
			problem.field = "path.value"
			return problem
		}
		c.route.Match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: matcher.GetSafeRegex()}
	default:
		return &fieldProblem{codeUnsupported, "path.type", fmt.Sprintf("path type %q is not supported", kind), "use Exact, PathPrefix or RegularExpression"}
	}
	return nil
}

func stringMatcher(isRegex bool, value string) (*matcherv3.StringMatcher, *fieldProblem) {
	if !isRegex {
		return exactly(value), nil
	}
	if problem := regexFault(value); problem != nil {
		return nil, problem
	}
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: value}}}, nil
}

func exactly(value string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: value}}
}

func headerMatcher(name string, value *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: value}}
}
