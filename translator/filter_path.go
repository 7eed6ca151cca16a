package translator

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// pathRewrite is a new path: a prefix in the place of the matched one, or what a regular expression makes of it.
type pathRewrite struct {
	full, prefix string
	regex        *matcherv3.RegexMatchAndSubstitute
}

// readPath turns a path modifier into a rewrite of the matched path.
func readPath(path *gatewayv1.HTTPPathModifier, match *gatewayv1.HTTPRouteMatch, field string) (*pathRewrite, *fieldProblem) {
	if path == nil {
		return nil, nil //nolint:nilnil // no modifier, no rewrite
	}
	switch path.Type {
	case gatewayv1.FullPathHTTPPathModifier:
		full := cmp.Or(orDefault(path.ReplaceFullPath, ""), "/")
		if problem := checkPath(full, field+".replaceFullPath"); problem != nil {
			return nil, problem
		}
		return &pathRewrite{full: full, regex: substitute("^/.*$", escapeSubstitution(full))}, nil
	case gatewayv1.PrefixMatchHTTPPathModifier:
		if problem := checkPath(cmp.Or(orDefault(path.ReplacePrefixMatch, ""), "/"), field+".replacePrefixMatch"); problem != nil {
			return nil, problem
		}
		prefix := "/"
		if match.Path != nil {
			if orDefault(match.Path.Type, gatewayv1.PathMatchPathPrefix) != gatewayv1.PathMatchPathPrefix {
				return nil, &fieldProblem{api.CodeConflict, field, "ReplacePrefixMatch needs a match of type PathPrefix", "match a PathPrefix, or use ReplaceFullPath"}
			}
			prefix = orDefault(match.Path.Value, "/")
		}
		return rewritePrefix(strings.TrimRight(prefix, "/"), strings.TrimRight(orDefault(path.ReplacePrefixMatch, ""), "/")), nil
	default:
		return nil, &fieldProblem{codeUnsupported, field + ".type", fmt.Sprintf("path modifier %q is not supported", path.Type), "use ReplaceFullPath or ReplacePrefixMatch"}
	}
}

// checkPath refuses what is no path, so that every request with it would be answered 400 by the Pod, or 503 by Envoy. Behind a redirect's host, it could
// become a part of that.
func checkPath(path, field string) *fieldProblem {
	if path[0] != '/' {
		return &fieldProblem{api.CodeInvalidValue, field, fmt.Sprintf("the path %q does not begin with '/'", path), "write it as it is in a URL, such as /api"}
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\x7f' }) {
		return &fieldProblem{api.CodeInvalidValue, field, fmt.Sprintf("the path %q has spaces or control characters", path), "write them as in a URL, such as %20"}
	}
	return nil
}

// rewritePrefix gives /a/x the prefix /b instead of /a: with one slash between the parts, and never an empty path.
func rewritePrefix(from, to string) *pathRewrite {
	switch {
	case from == "" && to == "":
		return nil
	case from == "" || to == "":
		return &pathRewrite{regex: substitute("^"+regexp.QuoteMeta(from)+"/*(.*)$", escapeSubstitution(to)+`/\1`)}
	default:
		return &pathRewrite{prefix: to}
	}
}

func substitute(pattern, substitution string) *matcherv3.RegexMatchAndSubstitute {
	return &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: pattern}, Substitution: substitution}
}

func escapeSubstitution(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }
