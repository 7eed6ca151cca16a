package v1alpha1

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// checker collects the Problems of one object.
type checker struct {
	object     api.ObjectRef
	generation int64
	problems   []api.Problem
}

func newChecker(kind string, meta *metav1.ObjectMeta) *checker {
	return &checker{
		object:     api.ObjectRef{Group: Group, Kind: kind, Namespace: meta.Namespace, Name: meta.Name},
		generation: meta.Generation,
	}
}

func (c *checker) add(severity api.Severity, code, field, remedy, message string) {
	c.problems = append(c.problems, api.Problem{
		Code: code, Severity: severity, Object: c.object, Generation: c.generation, Field: field, Message: message, Remedy: remedy,
	})
}

// refuse adds an Error with a formatted message.
func (c *checker) refuse(code, field, remedy, format string, args ...any) {
	c.add(api.Error, code, field, remedy, fmt.Sprintf(format, args...))
}

// warn adds a Warning with a formatted message.
func (c *checker) warn(code, field, remedy, format string, args ...any) {
	c.add(api.Warning, code, field, remedy, fmt.Sprintf(format, args...))
}

// between checks a number; nil is fine.
func between[T int32 | int64](c *checker, field string, value *T, low, high T) {
	if value != nil && (*value < low || *value > high) {
		c.refuse(api.CodeOutOfRange, field, fmt.Sprintf("set it to a number from %d to %d", low, high), "%d is not within %d to %d", *value, low, high)
	}
}

// atMost checks the length of a list.
func (c *checker) atMost(field string, length, most int) {
	if length > most {
		c.refuse(api.CodeTooMany, field, fmt.Sprintf("leave at most %d", most), "there are %d entries, and at most %d may be", length, most)
	}
}

// shorter checks the length of a string in bytes.
func (c *checker) shorter(field, value string, most int) {
	if len(value) > most {
		c.refuse(api.CodeOutOfRange, field, fmt.Sprintf("shorten it to at most %d bytes", most), "the value has %d bytes, and at most %d may be", len(value), most)
	}
}

// oneOf checks an enum; empty is fine.
func oneOf[T ~string](c *checker, field string, value T, allowed ...T) {
	if value == "" || slices.Contains(allowed, value) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	c.refuse(api.CodeInvalidValue, field, "use "+orList(names), "%q is none of the values that the field may have", string(value))
}

// orList joins names as a sentence does: a, b or c.
func orList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// required checks that a string is there, and says whether it is.
func (c *checker) required(field, value, what string) bool {
	if value == "" {
		c.refuse(api.CodeMissingField, field, "set it to "+what, "the field is required")
	}
	return value != ""
}

// label checks a name without dots, such as that of a namespace.
func (c *checker) label(field, value, what string) {
	if c.required(field, value, what) && len(validation.IsDNS1123Label(value)) > 0 {
		c.refuse(api.CodeInvalidName, field, "use lower case letters, digits and '-', at most 63", "%q cannot be %s", value, what)
	}
}

// subdomain checks a name that may have dots, such as that of a Secret.
func (c *checker) subdomain(field, value, what string) {
	if c.required(field, value, what) && len(validation.IsDNS1123Subdomain(value)) > 0 {
		c.refuse(api.CodeInvalidName, field, "use lower case letters, digits, '-' and '.', at most 253", "%q cannot be %s", value, what)
	}
}

// network checks the name of a network: any printable ASCII without spaces.
func (c *checker) network(value string) {
	c.shorter("spec.network", value, maxName)
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.refuse(api.CodeInvalidValue, "spec.network", "use printable ASCII characters without spaces", "%q cannot be the name of a network", value)
	}
}

// hostname checks a DNS name in any case, without a wildcard.
func (c *checker) hostname(field, value string) {
	if value == "" {
		return
	}
	c.shorter(field, value, maxName)
	if len(value) <= maxName && len(validation.IsDNS1123Subdomain(strings.ToLower(value))) > 0 {
		c.refuse(api.CodeInvalidValue, field, "use a DNS name, such as httpbin.example.com", "%q is not a host name", value)
	}
}

const (
	// maxName is the longest DNS name.
	maxName = 253
	// maxUint32 is the largest limit of a circuit breaker.
	maxUint32 = 1<<32 - 1
)

// gatewayDuration is the format of GEP-2257.
var gatewayDuration = regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)

// duration checks a duration; nil is fine.
func (c *checker) duration(field string, value *gatewayv1.Duration, least time.Duration) {
	if value == nil {
		return
	}
	const format = "write a duration as Gateway API does: up to 4 numbers of at most 5 digits with h, m, s or ms, such as 1m30s"
	parsed, err := ParseDuration(*value)
	switch {
	case err != nil:
		c.refuse(api.CodeInvalidValue, field, format, "%q is not a duration", string(*value))
	case parsed < least && least <= time.Millisecond:
		c.refuse(api.CodeOutOfRange, field, "set it to more than 0", "the duration %s is not more than 0", string(*value))
	case parsed < least:
		c.refuse(api.CodeOutOfRange, field, fmt.Sprintf("set it to at least %s", least), "the duration %s is less than %s", string(*value), least)
	}
}

// The least durations of fields.
const (
	anyDuration = 0
	positive    = time.Millisecond
)

// ParseDuration parses a duration in the format of Gateway API (GEP-2257).
func ParseDuration(d gatewayv1.Duration) (time.Duration, error) {
	if !gatewayDuration.MatchString(string(d)) {
		return 0, fmt.Errorf("%q is not a duration of Gateway API", string(d))
	}
	return time.ParseDuration(string(d))
}

// index is the path of an entry of a list.
func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
