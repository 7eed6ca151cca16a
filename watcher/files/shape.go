package files

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shape is what a field takes, in the words of YAML.
type shape int

const (
	shapeAny shape = iota
	shapeStruct
	shapeMap
	shapeList
	shapeString
	shapeBytes
	shapeBool
	shapeInt
	shapeFloat
	shapeIntOrString
)

func (s shape) String() string {
	switch s {
	case shapeStruct, shapeMap:
		return "a mapping"
	case shapeList:
		return "a list"
	case shapeString:
		return "a string"
	case shapeBytes:
		return "a string of base64"
	case shapeBool:
		return "true or false"
	case shapeInt:
		return "a whole number"
	case shapeFloat:
		return "a number"
	case shapeIntOrString:
		return "a whole number or a string"
	}
	return "a value"
}

// remedy says how to turn a value of the wrong type into the right one.
func (s shape) remedy(node *yaml.Node, redact bool) string {
	scalar := node.Kind == yaml.ScalarNode
	switch {
	case s == shapeString && scalar && !redact:
		return fmt.Sprintf("write it in quotes: %q", node.Value)
	case s == shapeString && scalar:
		return "write it in quotes"
	case s == shapeList:
		return "write a list: entries that begin with '- '"
	case s == shapeStruct || s == shapeMap:
		return "write a mapping: lines of 'field: value'"
	case s == shapeInt && node.Tag == "!!str" && !redact && isNumber(node.Value):
		return "write it without quotes: " + node.Value
	}
	return "write " + s.String()
}

func isNumber(text string) bool {
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}

// describe says what a node is, in a person's words.
func describe(node *yaml.Node, redact bool) string {
	kind := ""
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch node.ShortTag() {
	case "!!int", "!!float":
		kind = "the number"
	case "!!bool":
		kind = "the boolean"
	case "!!null":
		return "empty"
	default:
		kind = "the string"
	}
	const longest = 64
	if redact || len(node.Value) > longest {
		return strings.Replace(kind, "the ", "a ", 1)
	}
	if kind == "the string" {
		return fmt.Sprintf("%s %q", kind, node.Value)
	}
	return kind + " " + node.Value
}

// Types that say themselves how they are written.
var (
	intOrStringType = reflect.TypeFor[intstr.IntOrString]()
	stringTypes     = []reflect.Type{reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime](), reflect.TypeFor[metav1.Duration]()}
	quantityType    = reflect.TypeFor[resource.Quantity]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

func shapeOf(t reflect.Type) shape {
	switch {
	case t == nil:
		return shapeAny
	case t == intOrStringType:
		return shapeIntOrString
	case slices.Contains(stringTypes, t):
		return shapeString
	case t == quantityType || reflect.PointerTo(t).Implements(unmarshalerType):
		return shapeAny
	}
	switch t.Kind() {
	case reflect.Struct:
		return shapeStruct
	case reflect.Map:
		return shapeMap
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return shapeBytes
		}
		return shapeList
	case reflect.String:
		return shapeString
	case reflect.Bool:
		return shapeBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return shapeInt
	case reflect.Float32, reflect.Float64:
		return shapeFloat
	}
	return shapeAny
}

// structFields are the JSON fields of a struct.
type structFields struct {
	types map[string]reflect.Type
	// names in the order of the struct.
	names []string
}

var fieldCache sync.Map // reflect.Type to *structFields

func fieldsOf(t reflect.Type) *structFields {
	if known, ok := fieldCache.Load(t); ok {
		return known.(*structFields)
	}
	fields := &structFields{types: map[string]reflect.Type{}}
	fields.add(t)
	fieldCache.Store(t, fields)
	return fields
}

func (f *structFields) add(t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || !field.IsExported() {
			continue
		}
		if name == "" && (field.Anonymous || strings.Contains(options, "inline")) {
			inner := field.Type
			for inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			f.add(inner)
			continue
		}
		if name == "" {
			name = field.Name
		}
		if _, ok := f.types[name]; !ok {
			f.types[name] = field.Type
			f.names = append(f.names, name)
		}
	}
}
