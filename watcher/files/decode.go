package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// document is what one YAML document of the configuration became. Lines are relative to it, counted from 1.
type document struct {
	objects []*object
	// problems are those that belong to no object.
	problems []api.Problem
	// unnamed is true where something in it has no readable identity, so that nobody can say which object it was to be.
	unnamed bool
	// directories are those that MemberClusters in it name, refused ones too.
	directories []string
}

// object is one object of the configuration, or a refused attempt at one.
type object struct {
	ref  api.ObjectRef
	kind *kind
	// value is nil where the object is refused.
	value metav1.Object
	// content is the digest of the object as canonical JSON, before defaults: equal content is an unchanged object.
	content  digest
	line     int
	lines    snapshot.Lines
	problems []api.Problem
}

type digest = [sha256.Size]byte

// parseDocument parses the text of a document. An error says that it is not YAML, with the line relative to the document or 0.
func parseDocument(text []byte) (*yaml.Node, *syntaxError) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		wrong := asSyntaxError(err)
		wrong.line = min(wrong.line, bytes.Count(bytes.TrimRight(text, "\n"), []byte("\n"))+1)
		return nil, wrong
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 {
		return nil, nil
	}
	return node.Content[0], nil
}

type syntaxError struct {
	line    int
	message string
}

var errorLine = regexp.MustCompile(`^line (\d+): `)

func asSyntaxError(err error) *syntaxError {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	out := &syntaxError{message: message}
	if m := errorLine.FindStringSubmatch(message); m != nil {
		out.line, _ = strconv.Atoi(m[1])
		out.message = message[len(m[0]):]
	}
	if slices.Contains(parserErrors, strings.TrimPrefix(out.message, "did not find expected ")) {
		out.line++
	}
	return out
}

// parserErrors are what the YAML library's parser expects in vain; it counts their lines from 0, those of its scanner from 1.
var parserErrors = []string{"<document start>", "node content", "'-' indicator", "key", "',' or ']'", "',' or '}'"}

// decodeDocument makes the objects of a document.
func decodeDocument(root *yaml.Node) *document {
	d := &document{}
	if root != nil && !(root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null") {
		d.add(root, nil, 0)
	}
	return d
}

// add decodes one node that is to be an object or a list of them. A list without items of a kind of their own gives them its own.
func (d *document) add(node *yaml.Node, parent *identity, depth int) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		d.reject(node, api.CodeWrongType, "", "a document is "+describe(node, true)+", not an object",
			"write an object with apiVersion, kind and metadata")
		return
	}
	id := identify(node)
	if parent != nil && id.apiVersion == "" && id.kind == "" {
		id.apiVersion, id.kind = parent.apiVersion, parent.kind
	}
	if items := child(node, "items"); items != nil && strings.HasSuffix(id.kind, kindList) && depth < 4 {
		d.addList(items, id, depth)
		return
	}
	k, problem := lookupKind(id)
	if problem != nil {
		problem.Line = node.Line
		d.problems = append(d.problems, *problem)
		d.unnamed = d.unnamed || problem.Severity == api.Error
		return
	}
	if id.name == "" {
		d.reject(node, api.CodeInvalidName, "metadata.name", fmt.Sprintf("a %s has no name", k.name), "set metadata.name")
		return
	}
	d.objects = append(d.objects, decodeObject(node, k, id))
	if k.name == v1alpha1.KindMemberCluster {
		if dir := scalarAt(node, "spec", "source", "objects", "directory"); dir != "" {
			d.directories = append(d.directories, dir)
		}
	}
}

func (d *document) addList(items *yaml.Node, id identity, depth int) {
	var of *identity
	if id.kind != kindList {
		of = &identity{apiVersion: id.apiVersion, kind: strings.TrimSuffix(id.kind, kindList)}
	}
	if items.Kind != yaml.SequenceNode {
		if items.ShortTag() != "!!null" {
			d.reject(items, api.CodeWrongType, "items", "the items of a List are "+describe(items, true)+", not a list", "write a list: entries that begin with '- '")
		}
		return
	}
	for _, item := range items.Content {
		d.add(item, of, depth+1)
	}
}

func (d *document) reject(node *yaml.Node, code, field, message, remedy string) {
	d.unnamed = true
	d.problems = append(d.problems, api.Problem{
		Code: code, Severity: api.Error, Field: field, Message: message, Remedy: remedy, Line: node.Line,
	})
}

// identity is what an object says of itself.
type identity struct{ apiVersion, kind, namespace, name string }

func identify(node *yaml.Node) identity {
	return identity{
		apiVersion: scalarAt(node, "apiVersion"), kind: scalarAt(node, "kind"),
		namespace: scalarAt(node, "metadata", "namespace"), name: scalarAt(node, "metadata", "name"),
	}
}

// child is the value of a key of a mapping, or nil.
func child(node *yaml.Node, key string) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// scalarAt is the text of a scalar below a mapping, or "".
func scalarAt(node *yaml.Node, path ...string) string {
	for _, key := range path {
		node = child(node, key)
	}
	if node == nil || node.Kind != yaml.ScalarNode || node.ShortTag() == "!!null" {
		return ""
	}
	return node.Value
}

// lookupKind finds the kind of an object, or says what is wrong with it.
func lookupKind(id identity) (*kind, *api.Problem) {
	p := &api.Problem{Code: api.CodeUnknownKind, Severity: api.Error, Field: "kind"}
	p.Object = api.ObjectRef{Kind: id.kind, Namespace: id.namespace, Name: id.name}
	switch {
	case id.kind == "":
		p.Code, p.Object = api.CodeMissingField, api.ObjectRef{}
		p.Message, p.Remedy = "a document has no kind", "set apiVersion and kind, or move the file out of the configuration"
		return nil, p
	case id.apiVersion == "":
		p.Code, p.Field = api.CodeMissingField, "apiVersion"
		p.Message, p.Remedy = fmt.Sprintf("a %s has no apiVersion", id.kind), "set apiVersion"
		if k := kindNamed(id.kind); k != nil {
			p.Remedy += " to " + apiVersion(k.group, k.versions[0])
		}
		return nil, p
	}
	group, version, ok := strings.Cut(id.apiVersion, "/")
	if !ok {
		group, version = "", id.apiVersion
	}
	p.Object.Group = group
	k := kindNamed(id.kind)
	if k != nil && k.group == group && slices.Contains(k.versions, version) {
		return k, nil
	}
	if k != nil {
		p.Field = "apiVersion"
		p.Message = fmt.Sprintf("podway does not read %s of %s", id.kind, id.apiVersion)
		p.Remedy = "write apiVersion: " + apiVersion(k.group, k.versions[0])
		if k.group != group && nearest(group, []string{k.group}) == "" {
			p.Severity = api.Warning
			p.Remedy += ", or move the object out of the configuration if it is another one"
		}
		return nil, p
	}
	p.Message = fmt.Sprintf("podway does not read the kind %s", id.kind)
	if near := nearest(id.kind, kindNames()); near != "" {
		p.Message += fmt.Sprintf(": did you mean %s?", near)
		p.Remedy = fmt.Sprintf("write kind: %s, or move the object out of the configuration", near)
		return nil, p
	}
	p.Severity = api.Warning
	p.Remedy = "move the object out of the configuration; it may hold " + strings.Join(kindNames(), ", ")
	return nil, p
}

// decodeObject decodes one object strictly.
func decodeObject(node *yaml.Node, k *kind, id identity) *object {
	if id.namespace == "" && k.namespaced {
		id.namespace = metav1.NamespaceDefault
	}
	if !k.namespaced {
		id.namespace = ""
	}
	o := &object{kind: k, line: node.Line, ref: api.ObjectRef{Group: k.group, Kind: k.name, Namespace: id.namespace, Name: id.name}}
	s := &strict{fields: map[string]int{}, redact: k.secret}
	generic, _ := s.value(node, k.typ, "", 0)
	o.lines, o.problems = snapshot.LinesOf(s.fields, o.line), s.problems
	content, ok := generic.(map[string]any)
	if !ok || s.stopped {
		return o.finished(nil, s.fields)
	}
	o.problems = append(o.problems, checkMetadata(content, k, id)...)
	content["apiVersion"] = apiVersion(k.group, k.versions[0])
	content["kind"] = k.name
	delete(content, "status")
	if k.group == gatewayGroup {
		o.add(checkGatewayAPI(k.name, content))
	}
	encoded, err := json.Marshal(content)
	if err != nil {
		o.problems = append(o.problems, undecodable(err, k))
		return o.finished(nil, s.fields)
	}
	o.content = sha256.Sum256(encoded)
	value := reflect.New(k.typ).Interface().(metav1.Object)
	if err := json.Unmarshal(encoded, value); err != nil {
		if len(o.problems) == 0 {
			o.problems = append(o.problems, undecodable(err, k))
		}
		return o.finished(nil, s.fields)
	}
	value.SetManagedFields(nil)
	if k.finish != nil {
		o.add(k.finish(value))
	}
	return o.finished(value, s.fields)
}

// add adds problems, without those that follow from one that is known: a field that could not be decoded is missing.
func (o *object) add(more []api.Problem) {
	known := len(o.problems)
	for _, p := range more {
		follows := slices.ContainsFunc(o.problems[:known], func(first api.Problem) bool {
			return snapshot.IsWithin(p.Field, first.Field) || snapshot.IsWithin(first.Field, p.Field)
		})
		if !follows {
			o.problems = append(o.problems, p)
		}
	}
}

// finished names the object in its problems, with the lines of its fields, and refuses it where one is an error.
func (o *object) finished(value metav1.Object, fields map[string]int) *object {
	refused := false
	for i := range o.problems {
		p := &o.problems[i]
		p.Object = o.ref
		if p.Line == 0 {
			p.Line = lineOf(fields, p.Field, o.line)
		}
		refused = refused || p.Severity == api.Error
	}
	if !refused {
		o.value = value
	}
	return o
}

func undecodable(err error, k *kind) api.Problem {
	message := "the object does not decode"
	if !k.secret {
		message += ": " + err.Error()
	}
	return api.Problem{Code: api.CodeInvalidValue, Severity: api.Error, Message: message, Remedy: "compare it with an object that an API server has accepted"}
}

// lineOf is the line of a field, else of its nearest parent that is there, else of the object.
func lineOf(fields map[string]int, field string, line int) int {
	for field != "" {
		if at, ok := fields[field]; ok {
			return at
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
	return line
}
