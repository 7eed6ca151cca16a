package files

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podway/podway/api"
)

const (
	// maxDepth is how deep a document may nest. The deepest field of any kind is at about 15.
	maxDepth = 100
	// maxAliasNodes is how many values the aliases of one document may stand for, all together.
	maxAliasNodes = 100_000
)

// strict turns a YAML node into the generic form of JSON, guided by the Go type
// that it is to become. What does not fit is a Problem with the line; the rest
// is converted nevertheless, so that one run finds all mistakes.
type strict struct {
	// fields maps paths to lines, relative to the document.
	fields   map[string]int
	problems []api.Problem
	// redact keeps values out of messages: the object is a Secret.
	redact bool

	expanding map[*yaml.Node]bool
	// outermost is the alias that is being expanded, where that is within another one the first.
	outermost  *yaml.Node
	aliasNodes int
	stopped    bool
}

func (s *strict) problem(node *yaml.Node, code, field, message, remedy string) {
	s.problems = append(s.problems, api.Problem{
		Code: code, Severity: api.Error, Field: field, Message: message, Remedy: remedy, Line: node.Line,
	})
}

// value converts a node. Without a type anything goes. The second result is false where there is nothing to convert: null, or a mistake.
func (s *strict) value(node *yaml.Node, t reflect.Type, path string, depth int) (any, bool) {
	if s.stopped {
		return nil, false
	}
	if depth > maxDepth {
		s.stopped = true
		s.problem(node, api.CodeTooDeep, "", fmt.Sprintf("the document nests more than %d levels deep", maxDepth), "remove what is not part of an object")
		return nil, false
	}
	if len(s.expanding) > 0 {
		if s.aliasNodes++; s.aliasNodes > maxAliasNodes {
			s.stopped = true
			s.problem(s.outermost, api.CodeAliasExplosion, "",
				fmt.Sprintf("the YAML aliases of the document stand for more than %d values", maxAliasNodes), "write the values out, or use fewer aliases")
			return nil, false
		}
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch node.Kind {
	case yaml.AliasNode:
		return s.alias(node, t, path, depth)
	case yaml.MappingNode:
		return s.mapping(node, t, path, depth)
	case yaml.SequenceNode:
		return s.sequence(node, t, path, depth)
	case yaml.ScalarNode:
		return s.scalar(node, t, path)
	}
	return nil, false
}

func (s *strict) alias(node *yaml.Node, t reflect.Type, path string, depth int) (any, bool) {
	target := node.Alias
	if s.expanding[target] {
		s.stopped = true
		s.problem(node, api.CodeAliasExplosion, path, fmt.Sprintf("the anchor %s contains an alias of itself", node.Value), "write the value out")
		return nil, false
	}
	if s.expanding == nil {
		s.expanding = map[*yaml.Node]bool{}
	}
	if len(s.expanding) == 0 {
		s.outermost = node
	}
	s.expanding[target] = true
	defer delete(s.expanding, target)
	return s.value(target, t, path, depth+1)
}

func (s *strict) mapping(node *yaml.Node, t reflect.Type, path string, depth int) (any, bool) {
	var fields *structFields
	var elem reflect.Type
	switch shape := shapeOf(t); shape {
	case shapeStruct:
		fields = fieldsOf(t)
	case shapeMap:
		elem = t.Elem()
	case shapeAny:
	default:
		s.wrongType(node, t, path)
		return nil, false
	}
	out := make(map[string]any, len(node.Content)/2)
	seen := make(map[string]bool, len(node.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(node.Content) && !s.stopped; i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name, ok := s.key(key, path)
		if !ok {
			continue
		}
		if seen[name] {
			s.problem(key, api.CodeDuplicateKey, member(path, name, fields != nil), fmt.Sprintf("the key %q is there twice", name), "remove one of the two")
			continue
		}
		seen[name] = true
		s.member(out, key, value, name, fields, elem, path, depth)
	}
	for _, merge := range merges {
		s.merge(out, merge, t, path, depth)
	}
	return out, true
}

// member converts one entry of a mapping into out.
func (s *strict) member(out map[string]any, key, value *yaml.Node, name string, fields *structFields, elem reflect.Type, path string, depth int) {
	at := member(path, name, fields != nil)
	if fields != nil {
		if at == "status" {
			return // What a cluster reports of an object is no part of a configuration.
		}
		t, ok := fields.types[name]
		if !ok {
			s.unknownField(key, name, at, fields)
			return
		}
		elem = t
	}
	if len(s.expanding) == 0 {
		s.fields[at] = key.Line
	}
	if converted, ok := s.value(value, elem, at, depth+1); ok {
		out[name] = converted
	}
}

// merge adds what a merge key (<<) refers to, without replacing what is there.
func (s *strict) merge(out map[string]any, node *yaml.Node, t reflect.Type, path string, depth int) {
	sources := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		sources = node.Content
	}
	for _, source := range sources {
		converted, ok := s.value(source, t, path, depth+1)
		values, isMap := converted.(map[string]any)
		if ok && !isMap {
			s.problem(node, api.CodeWrongType, path, "the merge key << does not refer to a mapping", "merge a mapping, or a list of mappings")
			continue
		}
		for name, v := range values {
			if _, there := out[name]; !there {
				out[name] = v
			}
		}
	}
}

func (s *strict) key(node *yaml.Node, path string) (string, bool) {
	if node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	if node.Kind != yaml.ScalarNode {
		s.problem(node, api.CodeWrongType, path, "a key is "+describe(node, true)+", not a string", "use a string as the key")
		return "", false
	}
	return node.Value, true
}

func (s *strict) unknownField(key *yaml.Node, name, path string, fields *structFields) {
	message := fmt.Sprintf("there is no field %q", name)
	remedy := "remove it; the fields here are " + strings.Join(fields.names, ", ")
	if len(fields.names) > 24 {
		remedy = "remove it"
	}
	if near := nearest(name, fields.names); near != "" {
		message += fmt.Sprintf(": did you mean %s?", near)
		remedy = fmt.Sprintf("write %s, or remove the field", near)
	}
	s.problem(key, api.CodeUnknownField, path, message, remedy)
}

func (s *strict) sequence(node *yaml.Node, t reflect.Type, path string, depth int) (any, bool) {
	var elem reflect.Type
	switch shapeOf(t) {
	case shapeList:
		elem = t.Elem()
	case shapeAny:
	default:
		s.wrongType(node, t, path)
		return nil, false
	}
	out := make([]any, 0, len(node.Content))
	for i, item := range node.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		if len(s.expanding) == 0 {
			s.fields[at] = item.Line
		}
		converted, ok := s.value(item, elem, at, depth+1)
		if !ok && item.Tag == "!!null" {
			s.problem(item, api.CodeMissingField, at, "the entry of the list is empty", "write the entry, or remove it")
		}
		if ok {
			out = append(out, converted)
		}
	}
	return out, !s.stopped
}

func (s *strict) scalar(node *yaml.Node, t reflect.Type, path string) (any, bool) {
	tag := node.ShortTag()
	if tag == "!!null" {
		return nil, false
	}
	switch shapeOf(t) {
	case shapeString:
		if tag == "!!str" || tag == "!!timestamp" {
			return node.Value, true
		}
	case shapeBytes:
		if tag == "!!str" || tag == "!!binary" {
			return s.bytes(node, path)
		}
	case shapeBool:
		var b bool
		if tag == "!!bool" && node.Decode(&b) == nil {
			return b, true
		}
	case shapeInt:
		if tag == "!!int" {
			return s.integer(node, t, path)
		}
	case shapeFloat, shapeAny:
		return s.untyped(node, path)
	case shapeIntOrString:
		if tag == "!!int" {
			return s.integer(node, reflect.TypeFor[int32](), path)
		}
		if tag == "!!str" {
			return node.Value, true
		}
	}
	s.wrongType(node, t, path)
	return nil, false
}

func (s *strict) bytes(node *yaml.Node, path string) (any, bool) {
	if _, err := base64.StdEncoding.DecodeString(node.Value); err != nil {
		s.problem(node, api.CodeInvalidValue, path, "the value is not base64", "encode it with base64, or write it as it is below stringData")
		return nil, false
	}
	return node.Value, true
}

func (s *strict) integer(node *yaml.Node, t reflect.Type, path string) (any, bool) {
	var number int64
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if bits := t.Bits(); bits < 64 {
		low, high = -1<<(bits-1), 1<<(bits-1)-1
	}
	if err := node.Decode(&number); err != nil || number < low || number > high {
		s.problem(node, api.CodeOutOfRange, path, fmt.Sprintf("the number %s does not fit: the field holds %d to %d", s.shown(node), low, high), "choose a number in that range")
		return nil, false
	}
	return number, true
}

// untyped converts a scalar by its own type.
func (s *strict) untyped(node *yaml.Node, path string) (any, bool) {
	switch node.ShortTag() {
	case "!!int", "!!float", "!!bool":
		var v any
		if err := node.Decode(&v); err != nil {
			break
		}
		if f, ok := v.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
			s.problem(node, api.CodeInvalidValue, path, "the number is not finite", "write a finite number")
			return nil, false
		}
		return v, true
	}
	return node.Value, true
}

func (s *strict) wrongType(node *yaml.Node, t reflect.Type, path string) {
	shape := shapeOf(t)
	s.problem(node, api.CodeWrongType, path, fmt.Sprintf("the value is %s, not %s", describe(node, s.redact), shape), shape.remedy(node, s.redact))
}

func (s *strict) shown(node *yaml.Node) string {
	if s.redact {
		return "here"
	}
	return node.Value
}

// member is the path of a field of a struct, or of an entry of a map.
func member(path, name string, field bool) string {
	switch {
	case !field:
		return path + "[" + name + "]"
	case path == "":
		return name
	}
	return path + "." + name
}
