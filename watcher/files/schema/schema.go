// Package schema knows what the custom resource definitions of Gateway API's
// standard channel say of its kinds: it sets their defaults and checks values
// against them, as an API server would. It knows no rules that span several fields, and
// no other kinds.
package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/podway/podway/api"
)

//go:generate go run generate.go gatewayapi.json
//go:embed gatewayapi.json
var embedded []byte

// node is one schema of OpenAPI, as far as the definitions use it.
type node struct {
	Type          string           `json:"type"`
	Properties    map[string]*node `json:"properties"`
	Items         *node            `json:"items"`
	Additional    *node            `json:"additionalProperties"`
	Enum          []string         `json:"enum"`
	Pattern       *pattern         `json:"pattern"`
	Required      []string         `json:"required"`
	Default       json.RawMessage  `json:"default"`
	Minimum       *int64           `json:"minimum"`
	Maximum       *int64           `json:"maximum"`
	MinLength     *int             `json:"minLength"`
	MaxLength     *int             `json:"maxLength"`
	MinItems      *int             `json:"minItems"`
	MaxItems      *int             `json:"maxItems"`
	MaxProperties *int             `json:"maxProperties"`
	ListMapKeys   []string         `json:"x-kubernetes-list-map-keys"`
	// names are those of Properties, sorted.
	names []string
}

// pattern is a regular expression that is compiled when the definitions are read.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalText(text []byte) (err error) {
	p.Regexp, err = regexp.Compile(string(text))
	return err
}

var definitions = sync.OnceValue(func() map[string]*node {
	var out map[string]*node
	if err := json.Unmarshal(embedded, &out); err != nil {
		panic("the embedded definitions of Gateway API: " + err.Error())
	}
	for _, n := range out {
		n.prepare()
	}
	return out
})

func (n *node) prepare() {
	for name, property := range n.Properties {
		n.names = append(n.names, name)
		property.prepare()
	}
	sort.Strings(n.names)
	if n.Items != nil {
		n.Items.prepare()
	}
	if n.Additional != nil {
		n.Additional.prepare()
	}
}

// Apply sets the defaults of an object of a kind of Gateway API, in place, and
// returns what its definition refuses. object is as encoding/json makes it, with numbers as int64, int or float64. Fields that the standard
// channel does not have are left alone.
func Apply(kind string, object map[string]any) []api.Problem {
	definition := definitions()[kind]
	if definition == nil {
		return nil
	}
	c := &checker{}
	c.object(definition, object, "")
	return c.problems
}

type checker struct{ problems []api.Problem }

func (c *checker) refuse(code, field, remedy, format string, args ...any) {
	c.problems = append(c.problems, api.Problem{
		Code: code, Severity: api.Error, Field: field, Message: fmt.Sprintf(format, args...), Remedy: remedy,
	})
}

func (c *checker) value(n *node, value any, path string) {
	switch v := value.(type) {
	case map[string]any:
		c.object(n, v, path)
	case []any:
		c.list(n, v, path)
	case string:
		c.text(n, v, path)
	case int64:
		c.number(n, v, path)
	case int:
		c.number(n, int64(v), path)
	case float64:
		c.number(n, int64(v), path)
	}
}

func (c *checker) object(n *node, object map[string]any, path string) {
	for _, name := range n.Required {
		if _, ok := object[name]; !ok && (n.Properties[name] == nil || n.Properties[name].Default == nil) {
			c.refuse(api.CodeMissingField, join(path, name), "set it", "the field is required")
		}
	}
	for _, name := range n.names {
		property := n.Properties[name]
		value, ok := object[name]
		if !ok && property.Default != nil {
			// The default is decoded each time: the object is its owner's to change.
			if err := json.Unmarshal(property.Default, &value); err != nil {
				continue
			}
			object[name], ok = value, true
		}
		if ok {
			c.value(property, value, join(path, name))
		}
	}
	if n.MaxProperties != nil && len(object) > *n.MaxProperties {
		c.refuse(api.CodeTooMany, path, fmt.Sprintf("leave at most %d", *n.MaxProperties), "there are %d entries, and at most %d may be", len(object), *n.MaxProperties)
	}
	if n.Additional == nil {
		return
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		c.value(n.Additional, object[key], path+"["+key+"]")
	}
}

func (c *checker) list(n *node, list []any, path string) {
	if n.MaxItems != nil && len(list) > *n.MaxItems {
		c.refuse(api.CodeTooMany, path, fmt.Sprintf("leave at most %d", *n.MaxItems), "there are %d entries, and at most %d may be", len(list), *n.MaxItems)
	}
	if n.MinItems != nil && len(list) < *n.MinItems {
		c.refuse(api.CodeTooFew, path, fmt.Sprintf("add entries, to at least %d", *n.MinItems), "there are %d entries, and at least %d must be", len(list), *n.MinItems)
	}
	if n.Items == nil {
		return
	}
	seen := map[string]int{}
	for i, item := range list {
		at := path + "[" + strconv.Itoa(i) + "]"
		c.value(n.Items, item, at)
		entry, ok := item.(map[string]any)
		// Which of two listeners of one name is in force is for the translator to say, so that the other ones are served.
		if !ok || len(n.ListMapKeys) == 0 || path == "spec.listeners" {
			continue
		}
		key := ""
		for _, name := range n.ListMapKeys {
			key += fmt.Sprintf("%v\x00", entry[name])
		}
		if first, ok := seen[key]; ok {
			c.refuse(api.CodeDuplicateEntry, at, "remove one of the two", "the entry has the same %s as %s[%d]", strings.Join(n.ListMapKeys, " and "), path, first)
			continue
		}
		seen[key] = i
	}
}

func (c *checker) text(n *node, text, path string) {
	length := utf8.RuneCountInString(text)
	switch {
	case len(n.Enum) > 0 && !slices.Contains(n.Enum, text):
		c.refuse(api.CodeInvalidValue, path, "use "+orList(n.Enum), "%q is none of the values that the field may have", text)
	case n.MaxLength != nil && length > *n.MaxLength:
		c.refuse(api.CodeOutOfRange, path, fmt.Sprintf("shorten it to at most %d characters", *n.MaxLength), "the value has %d characters, and at most %d may be", length, *n.MaxLength)
	case n.MinLength != nil && length < *n.MinLength:
		c.refuse(api.CodeOutOfRange, path, fmt.Sprintf("write at least %d characters", *n.MinLength), "the value has %d characters, and at least %d must be", length, *n.MinLength)
	case n.Pattern != nil && !n.Pattern.MatchString(text):
		c.refuse(api.CodeInvalidValue, path, "write a value that matches "+n.Pattern.String(), "%q does not have the form that the field wants", text)
	}
}

func (c *checker) number(n *node, number int64, path string) {
	if len(n.Enum) > 0 && !slices.Contains(n.Enum, strconv.FormatInt(number, 10)) {
		c.refuse(api.CodeInvalidValue, path, "use "+orList(n.Enum), "%d is none of the values that the field may have", number)
	}
	if n.Minimum != nil && number < *n.Minimum {
		c.refuse(api.CodeOutOfRange, path, fmt.Sprintf("set it to at least %d", *n.Minimum), "%d is less than %d", number, *n.Minimum)
	}
	if n.Maximum != nil && number > *n.Maximum {
		c.refuse(api.CodeOutOfRange, path, fmt.Sprintf("set it to at most %d", *n.Maximum), "%d is more than %d", number, *n.Maximum)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// orList joins values as a sentence does: a, b or c.
func orList(values []string) string {
	if len(values) < 2 {
		return strings.Join(values, "")
	}
	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}
