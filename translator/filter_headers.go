package translator

import (
	"fmt"
	"regexp"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"golang.org/x/net/http/httpguts"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// headerName is a header's name as RFC 9110 has it.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// framing are the headers that delimit a body. With others than Envoy's own, the Pod or the client waits for more than comes, or takes the end of a body for
// the next request or answer on the connection.
var framing = map[string]bool{"content-length": true, "transfer-encoding": true}

func readHeaders(filter *gatewayv1.HTTPHeaderFilter, field string) (add []*corev3.HeaderValueOption, remove []string, problem *fieldProblem) {
	option := func(list string, i int, h gatewayv1.HTTPHeader, action corev3.HeaderValueOption_HeaderAppendAction) {
		at := fmt.Sprintf("%s.%s[%d]", field, list, i)
		if p := checkHeader(string(h.Name), at+".name"); p != nil {
			problem = p
		}
		if framing[strings.ToLower(string(h.Name))] {
			problem = &fieldProblem{
				api.CodeInvalidValue, at + ".name", fmt.Sprintf("%s says how long the body is, and a modifier does not know that", h.Name), "remove it: Envoy sets it",
			}
		}
		if !httpguts.ValidHeaderFieldValue(h.Value) {
			problem = &fieldProblem{api.CodeInvalidValue, at + ".value", "a header's value cannot have line breaks or other control characters", "remove them"}
		}
		add = append(add, &corev3.HeaderValueOption{
			Header: &corev3.HeaderValue{Key: string(h.Name), Value: strings.ReplaceAll(h.Value, "%", "%%")}, AppendAction: action,
		})
	}
	for i, h := range filter.Set {
		option("set", i, h, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)
	}
	for i, h := range filter.Add {
		option("add", i, h, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD)
	}
	for i, name := range filter.Remove {
		if p := checkHeader(name, fmt.Sprintf("%s.remove[%d]", field, i)); p != nil {
			problem = p
		}
		remove = append(remove, name)
	}
	return add, remove, problem
}

// checkHeader refuses what Envoy does: it keeps pseudo headers and Host to itself.
func checkHeader(name, field string) *fieldProblem {
	if strings.EqualFold(name, "host") {
		return &fieldProblem{api.CodeInvalidValue, field, "Host cannot be changed by a header modifier", "use a URLRewrite filter with a hostname"}
	}
	if !headerName.MatchString(name) {
		return &fieldProblem{api.CodeInvalidValue, field, fmt.Sprintf("%q is not the name of a header", name), "use letters, digits and dashes"}
	}
	return nil
}
