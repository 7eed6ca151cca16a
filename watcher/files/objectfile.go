package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
)

// objectFile is what one file of a member cluster's objects holds in force.
type objectFile struct {
	path string
	// good is false where the file could never be read.
	good  bool
	items []held
	// problems are those of what is in the file now.
	problems []api.Problem
	// known are the items by the digest of their text.
	known map[digest]*item
}

// held is an item at its place.
type held struct {
	*item
	line int
}

type itemKey struct {
	kind string
	types.NamespacedName
}

func (i *item) itemKey() itemKey { return itemKey{kind: i.kind, NamespacedName: i.key} }

// objectParser reads one file of a cluster's objects.
type objectParser struct {
	cluster string
	old     *objectFile
	out     *objectFile
	kept    map[itemKey]held
	present map[itemKey]bool
	unnamed bool
	ignored map[string]bool
	scratch []byte
}

// parseObjects makes the content of a file of a cluster's objects. What is refused keeps its last good form, out of old.
func parseObjects(cluster, path string, text []byte, old *objectFile) *objectFile {
	if offset := invalidUTF8(text); offset >= 0 {
		return old.frozen(path, notUTF8(offset))
	}
	p := &objectParser{
		cluster: cluster, old: old, out: &objectFile{path: path, good: true, known: map[digest]*item{}},
		kept: map[itemKey]held{}, present: map[itemKey]bool{}, ignored: map[string]bool{},
	}
	if old != nil {
		for _, h := range old.items {
			p.kept[h.itemKey()] = h
		}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	wrong := p.parse(path, text)
	if wrong != nil {
		return old.frozen(path, *wrong)
	}
	if p.unnamed && old != nil {
		for _, h := range old.items {
			if !p.present[h.itemKey()] {
				p.out.items = append(p.out.items, h)
			}
		}
	}
	return p.out
}

func (f *objectFile) frozen(path string, p api.Problem) *objectFile {
	p.File = path
	out := &objectFile{path: path}
	if f != nil && f.good {
		*out = *f
		p.Message += stays
	}
	out.problems = []api.Problem{p}
	return out
}

// parse reads JSON by a parser of its own, which is much faster than that of YAML. Flow-style YAML may look like it.
func (p *objectParser) parse(path string, text []byte) *api.Problem {
	if !looksLikeJSON(text) {
		return p.yaml(text)
	}
	wrong := p.json(text)
	if wrong == nil || strings.EqualFold(filepath.Ext(path), ".json") {
		return wrong
	}
	p.out.items, p.out.problems = nil, nil
	return p.yaml(text)
}

func (p *objectParser) yaml(text []byte) *api.Problem {
	for part := range documents(text) {
		if wrong := p.document(part); wrong != nil {
			return wrong
		}
	}
	return nil
}

// document reads one YAML document: item by item where it is a List as kubectl prints it, as a whole otherwise.
func (p *objectParser) document(part chunk) *api.Problem {
	items, rest, ok := splitList(part.text)
	if ok {
		root, wrong := parseDocument(rest)
		if wrong != nil {
			return ptr(notYAML(wrong, part.line))
		}
		if root != nil && isList(scalarAt(root, "kind")) {
			for _, entry := range items {
				if wrong := p.text(entry, part.line-1+entry.line, true); wrong != nil {
					return wrong
				}
			}
			return nil
		}
	}
	return p.text(part, part.line, false)
}

// text reads the text of one object, or of one entry of a List.
func (p *objectParser) text(part chunk, line int, entry bool) *api.Problem {
	sum := sha256.Sum256(part.text)
	if known := p.lookup(sum); known != nil {
		p.add(known, sum, line)
		return nil
	}
	if len(part.text) > maxDocumentBytes {
		p.out.problems = append(p.out.problems, documentTooLarge(p.out.path, line, len(part.text)))
		p.unnamed = true
		return nil
	}
	block := func() []byte {
		if entry {
			p.scratch = blockOf(part.text, p.scratch)
		} else {
			p.scratch = append(p.scratch[:0], part.text...)
		}
		return p.scratch
	}
	i, wrong := itemOfYAML(prune(block()))
	if wrong != nil || i == nil || i.refused() {
		i, wrong = itemOfYAML(block())
	}
	if wrong != nil {
		return ptr(notYAML(wrong, line))
	}
	if i != nil {
		p.add(i, sum, line)
	}
	return nil
}

// maxDocumentBytes is the largest object, or List in a form that is not cut into items, that is parsed as a whole. An API
// server holds none of more than about 1.5 MiB.
const maxDocumentBytes = 8 * mebibyte

func documentTooLarge(path string, line, size int) api.Problem {
	return api.Problem{
		Code: api.CodeTooLarge, Severity: api.Error, File: path, Line: line,
		Message: fmt.Sprintf("an object has %d bytes; at most %d are read", size, maxDocumentBytes),
		Remedy:  "save the objects with kubectl get -o yaml or -o json, as a List",
	}
}

func (p *objectParser) lookup(sum digest) *item {
	if p.old == nil {
		return nil
	}
	return p.old.known[sum]
}

// json reads a file of one or more JSON objects, a List item by item.
func (p *objectParser) json(text []byte) *api.Problem {
	decoder := json.NewDecoder(bytes.NewReader(text))
	counted, line := 0, 1
	lineAt := func(offset int) int {
		offset = min(max(offset, counted), len(text))
		line += bytes.Count(text[counted:offset], []byte("\n"))
		counted = offset
		return line
	}
	for {
		at := lineAt(int(decoder.InputOffset()))
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				at = lineAt(int(syntax.Offset))
			}
			return &api.Problem{
				Code: api.CodeInvalidYAML, Severity: api.Error, Line: at,
				Message: "the file is not valid JSON: " + err.Error(), Remedy: "correct the JSON near that line",
			}
		}
		var e envelope
		if err := json.Unmarshal(raw, &e); err == nil && isList(e.Kind) {
			for _, entry := range e.Items {
				p.jsonItem(entry, at)
			}
			continue
		}
		p.jsonItem(raw, at)
	}
}

func (p *objectParser) jsonItem(raw []byte, line int) {
	sum := sha256.Sum256(raw)
	i := p.lookup(sum)
	if i == nil {
		i = itemOfJSON(raw, 0)
	}
	p.add(i, sum, line)
}

// add puts an item in force, or the last good form of a refused one.
func (p *objectParser) add(i *item, sum digest, line int) {
	p.out.known[sum] = i
	p.place(i, line)
}

func (p *objectParser) place(i *item, line int) {
	if i.items != nil {
		for _, inner := range i.items {
			p.place(inner, line)
		}
		return
	}
	if i.line > 0 {
		line += i.line - 1
	}
	key := i.itemKey()
	if i.refused() {
		last, was := p.kept[key]
		problem := *i.problem
		problem.File, problem.Line = p.out.path, line
		if i.key.Name != "" {
			problem.Object = api.ObjectRef{Cluster: p.cluster, Kind: i.kind, Namespace: i.key.Namespace, Name: i.key.Name}
		} else {
			p.unnamed = true
		}
		if was {
			problem.Message += "; the object's last good version stays in force"
			p.out.items = append(p.out.items, last)
			p.present[key] = true
		}
		p.out.problems = append(p.out.problems, problem)
		return
	}
	if isList(i.kind) {
		return // A List without items.
	}
	if !i.known() {
		p.ignore(i.kind, line)
		return
	}
	p.present[key] = true
	p.out.items = append(p.out.items, held{item: i, line: line})
}

// ignore says once for each kind of a file that it is not read.
func (p *objectParser) ignore(kind string, line int) {
	if p.ignored[kind] {
		return
	}
	p.ignored[kind] = true
	p.out.problems = append(p.out.problems, api.Problem{
		Code: api.CodeUnknownKind, Severity: api.Warning, File: p.out.path, Line: line,
		Message: fmt.Sprintf("objects of kind %s are not read from the objects of cluster %s", kind, p.cluster),
		Remedy:  "keep only Service, EndpointSlice and Pod objects there",
	})
}

func ptr[T any](v T) *T { return &v }
