package files

import (
	"fmt"
	"regexp"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/files/schema"
)

// checkGatewayAPI sets the defaults of an object of Gateway API, and says what an API server would refuse: what its
// definition says of single fields, and the definition's rules about several of them.
func checkGatewayAPI(kind string, content map[string]any) []api.Problem {
	g := &gatewayRules{problems: schema.Apply(kind, content)}
	spec := mapOf(content, "spec")
	switch kind {
	case "Gateway":
		g.gateway(spec)
	case "HTTPRoute":
		g.route(spec)
	}
	return g.problems
}

// gatewayRules are the rules of the definitions that span fields. Those that the translator answers for itself, so that
// one listener or rule does not cost the others (listeners that conflict, filters that cannot stand together), are not among them.
type gatewayRules struct{ problems []api.Problem }

func (g *gatewayRules) refuse(code, field, remedy, format string, args ...any) {
	g.problems = append(g.problems, api.Problem{
		Code: code, Severity: api.Error, Field: field, Message: fmt.Sprintf(format, args...), Remedy: remedy,
	})
}

func (g *gatewayRules) gateway(spec map[string]any) {
	each(spec, "listeners", "spec.listeners", func(listener map[string]any, at string) {
		protocol, tls := stringOf(listener, "protocol"), mapOf(listener, "tls")
		mode := stringOf(tls, "mode")
		switch protocol {
		case "HTTP", "TCP", "UDP":
			if tls != nil {
				g.refuse(api.CodeConflict, at+".tls", "remove tls, or set protocol to HTTPS", "a listener of protocol %s has no TLS", protocol)
			}
		case "HTTPS":
			if tls != nil && mode != "Terminate" {
				g.refuse(api.CodeConflict, at+".tls.mode", "set mode to Terminate, or protocol to TLS", "protocol HTTPS needs mode Terminate")
			}
		}
		if stringOf(listener, "hostname") != "" && (protocol == "TCP" || protocol == "UDP") {
			g.refuse(api.CodeConflict, at+".hostname", "remove it", "a listener of protocol %s has no host name", protocol)
		}
		if tls != nil && mode == "Terminate" && len(listOf(tls, "certificateRefs"))+len(mapOf(tls, "options")) == 0 {
			g.refuse(api.CodeMissingField, at+".tls.certificateRefs", "name a Secret of type kubernetes.io/tls", "a listener that terminates TLS needs a certificate")
		}
	})
}

func (g *gatewayRules) route(spec map[string]any) {
	g.parents(spec)
	names := map[string]bool{}
	matches := 0
	each(spec, "rules", "spec.rules", func(rule map[string]any, at string) {
		if name := stringOf(rule, "name"); name != "" {
			if names[name] {
				g.refuse(api.CodeDuplicateEntry, at+".name", "give each rule a name of its own", "another rule is called %s", name)
			}
			names[name] = true
		}
		matches += len(listOf(rule, "matches"))
		each(rule, "matches", at+".matches", func(match map[string]any, at string) { g.path(mapOf(match, "path"), at+".path") })
		redirects := g.filters(rule, at)
		if redirects && len(listOf(rule, "backendRefs")) > 0 {
			g.refuse(api.CodeConflict, at+".backendRefs", "remove backendRefs, or the filter RequestRedirect", "a rule that redirects sends nothing to a backend")
		}
		each(rule, "backendRefs", at+".backendRefs", func(ref map[string]any, at string) { g.filters(ref, at) })
		g.timeouts(mapOf(rule, "timeouts"), at+".timeouts")
	})
	const most = 128
	if matches > most {
		g.refuse(api.CodeTooMany, "spec.rules", "spread the rules over several HTTPRoutes", "the rules have %d matches, and at most %d may be in one HTTPRoute", matches, most)
	}
}

// parents checks that each parent, or section of it, is named once.
func (g *gatewayRules) parents(spec map[string]any) {
	seen := map[string]string{}
	each(spec, "parentRefs", "spec.parentRefs", func(ref map[string]any, at string) {
		key := fmt.Sprint(stringOf(ref, "group"), "\x00", stringOf(ref, "kind"), "\x00", stringOf(ref, "namespace"), "\x00", stringOf(ref, "name"),
			"\x00", stringOf(ref, "sectionName"), "\x00", ref["port"])
		if first, ok := seen[key]; ok {
			g.refuse(api.CodeDuplicateEntry, at, "remove one of the two, or name different listeners with sectionName", "the parent is the same as %s", first)
			return
		}
		seen[key] = at
	})
}

var pathCharacters = regexp.MustCompile(`^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$`)

// path checks a path that is compared as it is; a regular expression is for the translator to judge.
func (g *gatewayRules) path(match map[string]any, at string) {
	kind, value := stringOf(match, "type"), stringOf(match, "value")
	if match == nil || kind != "Exact" && kind != "PathPrefix" {
		return
	}
	refuse := func(format string, args ...any) {
		g.refuse(api.CodeInvalidValue, at+".value", "write the path as it is after normalization, such as /api/v1", format, args...)
	}
	if !strings.HasPrefix(value, "/") {
		refuse("the path %q does not begin with '/'", value)
		return
	}
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F", "#"} {
		if strings.Contains(value, part) {
			refuse("the path %q has %q in it, which no request that is matched has", value, part)
			return
		}
	}
	switch {
	case strings.HasSuffix(value, "/.."), strings.HasSuffix(value, "/."):
		refuse("the path %q ends with dots, which no request that is matched does", value)
	case !pathCharacters.MatchString(value):
		refuse("the path %q has characters that are not allowed in one", value)
	}
}

// filterFields are the fields that belong to the types of filters.
var filterFields = []struct{ kind, field string }{
	{"RequestHeaderModifier", "requestHeaderModifier"},
	{"ResponseHeaderModifier", "responseHeaderModifier"},
	{"RequestMirror", "requestMirror"},
	{"RequestRedirect", "requestRedirect"},
	{"URLRewrite", "urlRewrite"},
	{"CORS", "cors"},
	{"ExtensionRef", "extensionRef"},
}

// filters checks that each filter has the field of its type, and no other. It says whether one redirects.
func (g *gatewayRules) filters(owner map[string]any, path string) (redirects bool) {
	each(owner, "filters", path+".filters", func(filter map[string]any, at string) {
		kind := stringOf(filter, "type")
		for _, f := range filterFields {
			_, set := filter[f.field]
			switch {
			case set && f.kind != kind:
				g.refuse(api.CodeConflict, at+"."+f.field, fmt.Sprintf("set type to %s, or remove %s", f.kind, f.field), "the field belongs to type %s, and the type is %s", f.kind, kind)
			case !set && f.kind == kind:
				g.refuse(api.CodeMissingField, at+"."+f.field, "set it, or change the type", "a filter of type %s needs the field", kind)
			}
		}
		redirects = redirects || kind == "RequestRedirect"
		g.pathModifier(mapOf(mapOf(filter, "requestRedirect"), "path"), at+".requestRedirect.path")
		g.pathModifier(mapOf(mapOf(filter, "urlRewrite"), "path"), at+".urlRewrite.path")
		for _, list := range []string{"allowOrigins", "allowMethods", "allowHeaders"} {
			g.wildcardAlone(listOf(mapOf(filter, "cors"), list), at+".cors."+list)
		}
	})
	return redirects
}

func (g *gatewayRules) wildcardAlone(list []any, at string) {
	for _, value := range list {
		if value == "*" && len(list) > 1 {
			g.refuse(api.CodeConflict, at, `keep "*" alone, or remove it`, `"*" is all, so that the others say nothing`)
			return
		}
	}
}

// pathModifier checks that a path modifier has the field of its type, and no other.
func (g *gatewayRules) pathModifier(modifier map[string]any, at string) {
	if modifier == nil {
		return
	}
	kind := stringOf(modifier, "type")
	for _, f := range []struct{ kind, field string }{{"ReplaceFullPath", "replaceFullPath"}, {"ReplacePrefixMatch", "replacePrefixMatch"}} {
		_, set := modifier[f.field]
		switch {
		case set && kind != f.kind:
			g.refuse(api.CodeConflict, at+"."+f.field, fmt.Sprintf("set type to %s, or remove %s", f.kind, f.field), "the field belongs to type %s, and the type is %s", f.kind, kind)
		case !set && kind == f.kind:
			g.refuse(api.CodeMissingField, at+"."+f.field, "set it, or change the type", "type %s needs the field", kind)
		}
	}
}

func (g *gatewayRules) timeouts(timeouts map[string]any, at string) {
	request, err := v1alpha1.ParseDuration(gatewayv1.Duration(stringOf(timeouts, "request")))
	if err != nil || request == 0 {
		return
	}
	backend, err := v1alpha1.ParseDuration(gatewayv1.Duration(stringOf(timeouts, "backendRequest")))
	if err == nil && backend > request {
		g.refuse(api.CodeConflict, at+".backendRequest", "set it to at most the timeout of the request", "the timeout of one try, %s, is longer than that of the request, %s", backend, request)
	}
}

// each calls use for each mapping in a list.
func each(parent map[string]any, name, path string, use func(entry map[string]any, at string)) {
	for i, item := range listOf(parent, name) {
		if entry, ok := item.(map[string]any); ok {
			use(entry, fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

func mapOf(parent map[string]any, name string) map[string]any {
	out, _ := parent[name].(map[string]any)
	return out
}

func listOf(parent map[string]any, name string) []any {
	out, _ := parent[name].([]any)
	return out
}

func stringOf(parent map[string]any, name string) string {
	out, _ := parent[name].(string)
	return out
}
