package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	join "github.com/podway/podway/watcher/slices"
)

// item is one object of a member cluster, reduced to what podway reads.
type item struct {
	kind string
	key  types.NamespacedName
	// line is relative to where the text of the item begins.
	line int
	// One of these is set, or problem.
	service  *corev1.Service
	endpoint *join.Slice
	// labels are those of a Pod, never nil for one.
	labels  map[string]string
	problem *api.Problem
	// items are those of a List.
	items []*item
}

// The kinds of a member cluster that are read.
const (
	kindService       = "Service"
	kindEndpointSlice = "EndpointSlice"
	kindPod           = "Pod"
)

var itemVersions = map[string]string{kindService: "v1", kindEndpointSlice: "discovery.k8s.io/v1", kindPod: "v1"}

// read says whether the item is of a kind that is read.
func (i *item) known() bool { return itemVersions[i.kind] != "" }

func (i *item) refused() bool { return i.problem != nil }

// envelope is what every object begins with.
type envelope struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// itemOfJSON decodes an object, or a List of them, leniently: unknown fields are fine.
func itemOfJSON(text []byte, depth int) *item {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return &item{problem: undecodableItem(err)}
	}
	out := &item{kind: e.Kind, key: types.NamespacedName{Namespace: e.Metadata.Namespace, Name: e.Metadata.Name}}
	if isList(e.Kind) && depth < 4 {
		for _, raw := range e.Items {
			out.items = append(out.items, itemOfJSON(raw, depth+1))
		}
		return out
	}
	if out.check(e.APIVersion); out.problem != nil || !out.known() {
		return out
	}
	switch e.Kind {
	case kindPod:
		out.setLabels(e.Metadata.Labels)
	case kindService:
		out.decodeService(text)
	case kindEndpointSlice:
		out.decodeSlice(text)
	}
	return out
}

func isList(kind string) bool {
	switch kind {
	case kindList, kindService + kindList, kindEndpointSlice + kindList, kindPod + kindList:
		return true
	}
	return false
}

// check checks what every object has, and sets the default namespace.
func (i *item) check(version string) {
	if i.kind == "" || version == "" {
		i.problem = &api.Problem{
			Code: api.CodeMissingField, Severity: api.Error, Field: "kind",
			Message: "an object has no apiVersion or no kind", Remedy: "save the objects with kubectl get -o yaml",
		}
		return
	}
	want := itemVersions[i.kind]
	if want == "" {
		return
	}
	if i.key.Namespace == "" {
		i.key.Namespace = metav1.NamespaceDefault
	}
	if version != want {
		i.problem = &api.Problem{
			Code: api.CodeUnknownKind, Severity: api.Error, Field: "apiVersion",
			Message: fmt.Sprintf("podway reads a %s of %s, not of %s", i.kind, want, version), Remedy: "save the object as " + want,
		}
		return
	}
	if i.key.Name == "" {
		i.problem = &api.Problem{
			Code: api.CodeInvalidName, Severity: api.Error, Field: "metadata.name",
			Message: fmt.Sprintf("a %s has no name", i.kind), Remedy: "set metadata.name",
		}
	}
}

func (i *item) setLabels(labels map[string]string) {
	if labels == nil {
		labels = map[string]string{}
	}
	i.labels = labels
}

// decodeService decodes a Service, and lets go of what nobody reads.
func (i *item) decodeService(text []byte) {
	service := &corev1.Service{}
	if err := json.Unmarshal(text, service); err != nil {
		i.problem = undecodableItem(err)
		return
	}
	service.Namespace, service.ManagedFields, service.Annotations, service.Status = i.key.Namespace, nil, nil, corev1.ServiceStatus{}
	i.service = service
}

// decodeSlice decodes an EndpointSlice, and keeps what is read of it.
func (i *item) decodeSlice(text []byte) {
	slice := &discoveryv1.EndpointSlice{}
	if err := json.Unmarshal(text, slice); err != nil {
		i.problem = undecodableItem(err)
		return
	}
	slice.Namespace = i.key.Namespace
	i.endpoint = join.NewSlice(slice)
}

func undecodableItem(err error) *api.Problem {
	p := &api.Problem{
		Code: api.CodeInvalidValue, Severity: api.Error, Message: "the object does not decode: " + err.Error(),
		Remedy: "save it again with kubectl get -o yaml",
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		p.Code, p.Field = api.CodeWrongType, strings.TrimPrefix(wrongType.Field, ".")
		p.Message = fmt.Sprintf("the field cannot be a %s", wrongType.Value)
	}
	return p
}

// itemOfYAML decodes the text of a YAML object, or of a List of them.
func itemOfYAML(text []byte) (*item, *syntaxError) {
	root, wrong := parseDocument(text)
	if wrong != nil || root == nil {
		return nil, wrong
	}
	return itemOfNode(root, 0), nil
}

func itemOfNode(root *yaml.Node, depth int) *item {
	if root.Kind != yaml.MappingNode {
		return &item{line: root.Line, problem: &api.Problem{
			Code: api.CodeWrongType, Severity: api.Error, Message: "a document is " + describe(root, true) + ", not an object",
			Remedy: "save the objects with kubectl get -o yaml",
		}}
	}
	id := identify(root)
	if items := child(root, "items"); items != nil && items.Kind == yaml.SequenceNode && isList(id.kind) && depth < 4 {
		out := &item{kind: id.kind, line: root.Line}
		for _, node := range items.Content {
			out.items = append(out.items, itemOfNode(node, depth+1))
		}
		return out
	}
	s := &strict{fields: map[string]int{}}
	generic, _ := s.value(pruned(root), nil, "", 0)
	if len(s.problems) > 0 {
		p := s.problems[0]
		return &item{kind: id.kind, key: types.NamespacedName{Namespace: id.namespace, Name: id.name}, line: root.Line, problem: &p}
	}
	text, err := json.Marshal(generic)
	if err != nil {
		return &item{line: root.Line, problem: undecodableItem(err)}
	}
	out := itemOfJSON(text, depth)
	out.line = root.Line
	return out
}

// pruned is an object without what nobody reads.
func pruned(root *yaml.Node) *yaml.Node {
	out := *root
	out.Content = without(root.Content, "status")
	if scalarAt(root, "kind") == kindPod {
		out.Content = without(out.Content, "spec")
	}
	return &out
}

func without(content []*yaml.Node, key string) []*yaml.Node {
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value == key {
			return slices.Concat(content[:i], content[i+2:])
		}
	}
	return content
}

// looksLikeJSON says whether a file begins as a JSON object.
func looksLikeJSON(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(text[:min(len(text), 64)]), []byte("{"))
}
