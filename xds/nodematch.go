package xds

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	maxNodeMatchers   = 100
	maxMatcherDepth   = 16
	maxPatternBytes   = 1024
	nodeMatchersField = "node_matchers"
)

// nodeFilter is true for nodes that a tool asks for.
type nodeFilter func(*corev3.Node) bool

type (
	stringFilter func(string) bool
	// valueFilter is given nil where the path leads to nothing.
	valueFilter func(*structpb.Value) bool
)

// newNodeFilter compiles NodeMatchers: a node is wanted if any of them matches, or if there are none (ClientStatusRequest.node_matchers).
// The error names the field that cannot be honored.
func newNodeFilter(matchers []*matcherv3.NodeMatcher) (nodeFilter, error) {
	if len(matchers) > maxNodeMatchers {
		return nil, fmt.Errorf("%s: %d are too many; at most %d are allowed", nodeMatchersField, len(matchers), maxNodeMatchers)
	}
	if len(matchers) == 0 {
		return func(*corev3.Node) bool { return true }, nil
	}
	var anyOf []nodeFilter
	for i, matcher := range matchers {
		filter, err := compileNode(matcher)
		if err != nil {
			return nil, fmt.Errorf("%s[%d].%w", nodeMatchersField, i, err)
		}
		anyOf = append(anyOf, filter)
	}
	return func(node *corev3.Node) bool {
		return slices.ContainsFunc(anyOf, func(filter nodeFilter) bool { return filter(node) })
	}, nil
}

// compileNode makes a filter for what matches in the id and in all of the metadata.
func compileNode(matcher *matcherv3.NodeMatcher) (nodeFilter, error) {
	var all []nodeFilter
	if matcher.GetNodeId() != nil {
		id, err := compileString(matcher.GetNodeId())
		if err != nil {
			return nil, fmt.Errorf("node_id: %w", err)
		}
		all = append(all, func(node *corev3.Node) bool { return id(node.GetId()) })
	}
	for i, metadata := range matcher.GetNodeMetadatas() {
		filter, err := compileStruct(metadata)
		if err != nil {
			return nil, fmt.Errorf("node_metadatas[%d]: %w", i, err)
		}
		all = append(all, func(node *corev3.Node) bool { return filter(node.GetMetadata()) })
	}
	return func(node *corev3.Node) bool {
		return !slices.ContainsFunc(all, func(filter nodeFilter) bool { return !filter(node) })
	}, nil
}

func compileStruct(matcher *matcherv3.StructMatcher) (func(*structpb.Struct) bool, error) {
	var path []string
	for _, segment := range matcher.GetPath() {
		if segment.GetKey() == "" {
			return nil, errors.New("path: only keys are supported, and they are not empty")
		}
		path = append(path, segment.GetKey())
	}
	if len(path) == 0 {
		return nil, errors.New("path: at least one key is required")
	}
	filter, err := compileValue(matcher.GetValue(), 0)
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	return func(metadata *structpb.Struct) bool { return filter(valueAt(metadata, path)) }, nil
}

// valueAt is nil where the path leads to nothing.
func valueAt(metadata *structpb.Struct, path []string) *structpb.Value {
	value := metadata.GetFields()[path[0]]
	for _, key := range path[1:] {
		value = value.GetStructValue().GetFields()[key]
	}
	return value
}

func compileValue(matcher *matcherv3.ValueMatcher, depth int) (valueFilter, error) {
	if depth > maxMatcherDepth {
		return nil, fmt.Errorf("matchers are nested deeper than %d", maxMatcherDepth)
	}
	switch pattern := matcher.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_NullMatch_:
		return func(v *structpb.Value) bool { return kindOf[*structpb.Value_NullValue](v) }, nil
	case *matcherv3.ValueMatcher_BoolMatch:
		return func(v *structpb.Value) bool {
			return kindOf[*structpb.Value_BoolValue](v) && v.GetBoolValue() == pattern.BoolMatch
		}, nil
	case *matcherv3.ValueMatcher_PresentMatch:
		return func(v *structpb.Value) bool { return isPrimitive(v) == pattern.PresentMatch }, nil
	case *matcherv3.ValueMatcher_StringMatch:
		filter, err := compileString(pattern.StringMatch)
		if err != nil {
			return nil, fmt.Errorf("string_match: %w", err)
		}
		return func(v *structpb.Value) bool {
			return kindOf[*structpb.Value_StringValue](v) && filter(v.GetStringValue())
		}, nil
	case *matcherv3.ValueMatcher_DoubleMatch:
		return compileDouble(pattern.DoubleMatch)
	case *matcherv3.ValueMatcher_ListMatch:
		return compileList(pattern.ListMatch, depth)
	case *matcherv3.ValueMatcher_OrMatch:
		return compileOr(pattern.OrMatch.GetValueMatchers(), depth)
	case nil:
		return nil, errors.New("a match_pattern is required")
	default:
		return nil, fmt.Errorf("%T is not supported", pattern)
	}
}

func kindOf[Kind any](v *structpb.Value) bool {
	_, is := any(v.GetKind()).(Kind)
	return is
}

// isPrimitive is true for what is neither absent, a list nor a struct.
func isPrimitive(v *structpb.Value) bool {
	switch v.GetKind().(type) {
	case nil, *structpb.Value_ListValue, *structpb.Value_StructValue:
		return false
	}
	return true
}

func compileDouble(matcher *matcherv3.DoubleMatcher) (valueFilter, error) {
	var within func(float64) bool
	switch pattern := matcher.GetMatchPattern().(type) {
	case *matcherv3.DoubleMatcher_Exact:
		within = func(f float64) bool { return f == pattern.Exact }
	case *matcherv3.DoubleMatcher_Range:
		start, end := pattern.Range.GetStart(), pattern.Range.GetEnd()
		within = func(f float64) bool { return start <= f && f < end }
	default:
		return nil, errors.New("double_match: exact or range is required")
	}
	return func(v *structpb.Value) bool {
		return kindOf[*structpb.Value_NumberValue](v) && within(v.GetNumberValue())
	}, nil
}

func compileList(matcher *matcherv3.ListMatcher, depth int) (valueFilter, error) {
	if matcher.GetOneOf() == nil {
		return nil, errors.New("list_match: one_of is required")
	}
	filter, err := compileValue(matcher.GetOneOf(), depth+1)
	if err != nil {
		return nil, fmt.Errorf("list_match.one_of: %w", err)
	}
	return func(v *structpb.Value) bool { return slices.ContainsFunc(v.GetListValue().GetValues(), filter) }, nil
}

func compileOr(matchers []*matcherv3.ValueMatcher, depth int) (valueFilter, error) {
	if len(matchers) > maxNodeMatchers {
		return nil, fmt.Errorf("or_match: %d are too many; at most %d are allowed", len(matchers), maxNodeMatchers)
	}
	var anyOf []valueFilter
	for i, matcher := range matchers {
		filter, err := compileValue(matcher, depth+1)
		if err != nil {
			return nil, fmt.Errorf("or_match.value_matchers[%d]: %w", i, err)
		}
		anyOf = append(anyOf, filter)
	}
	return func(v *structpb.Value) bool {
		return slices.ContainsFunc(anyOf, func(filter valueFilter) bool { return filter(v) })
	}, nil
}

func compileString(matcher *matcherv3.StringMatcher) (stringFilter, error) {
	fold := func(s string) string { return s }
	if matcher.GetIgnoreCase() {
		fold = strings.ToLower
	}
	simple := func(pattern string, holds func(s, pattern string) bool) (stringFilter, error) {
		if len(pattern) > maxPatternBytes {
			return nil, fmt.Errorf("a pattern of %d bytes; at most %d are allowed", len(pattern), maxPatternBytes)
		}
		pattern = fold(pattern)
		return func(s string) bool { return holds(fold(s), pattern) }, nil
	}
	switch pattern := matcher.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return simple(pattern.Exact, func(s, pattern string) bool { return s == pattern })
	case *matcherv3.StringMatcher_Prefix:
		return simple(pattern.Prefix, strings.HasPrefix)
	case *matcherv3.StringMatcher_Suffix:
		return simple(pattern.Suffix, strings.HasSuffix)
	case *matcherv3.StringMatcher_Contains:
		return simple(pattern.Contains, strings.Contains)
	case *matcherv3.StringMatcher_SafeRegex:
		return compileRegex(pattern.SafeRegex.GetRegex())
	case nil:
		return nil, errors.New("a match_pattern is required")
	default:
		return nil, errors.New("only exact, prefix, suffix, contains and safe_regex are supported")
	}
}

// compileRegex makes a filter for what matches as a whole (RegexMatcher). Go's syntax is that of RE2.
func compileRegex(pattern string) (stringFilter, error) {
	if pattern == "" || len(pattern) > maxPatternBytes {
		return nil, fmt.Errorf("safe_regex: a pattern of 1 to %d bytes is required", maxPatternBytes)
	}
	compiled, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("safe_regex: %w", err)
	}
	return compiled.MatchString, nil
}
