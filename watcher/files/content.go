package files

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// content is what one configuration file holds in force.
type content struct {
	path string
	// good is false where the file could never be read.
	good bool
	// objects in force, in the order of the file.
	objects []*placed
	// problems of what is in the file now.
	problems []api.Problem
	// directories of objects that its MemberClusters name, refused ones too.
	directories []string
	// packed is the text of when the file was whole, nil where it is not to be remembered.
	packed []byte

	documents map[digest]*document
}

// placed is an object at its place in a file.
type placed struct {
	*object
	origin *snapshot.Origin
	// of is what the text said. object is that, but where an earlier form of it is in force.
	of *object
}

const stays = "; its last good content stays in force"

// parse makes the content of a configuration file. What is refused keeps its
// last good form, out of old, which is nil where there is none.
func parse(path string, text []byte, old *content) *content {
	if offset := invalidUTF8(text); offset >= 0 {
		return old.frozen(path, notUTF8(offset))
	}
	c := &content{path: path, good: true, documents: map[digest]*document{}}
	unnamed := false
	kept := old.byRef()
	for part := range documents(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		sum := sha256.Sum256(part.text)
		d, wrong := old.document(sum, part.text)
		if wrong != nil {
			return old.frozen(path, notYAML(wrong, part.line))
		}
		c.documents[sum] = d
		unnamed = unnamed || d.unnamed
		c.directories = append(c.directories, d.directories...)
		for _, p := range d.problems {
			p.File, p.Line = path, p.Line+part.line-1
			c.problems = append(c.problems, p)
		}
		for _, o := range d.objects {
			c.place(o, part.line-1, kept[o.ref])
		}
	}
	if unnamed && old != nil {
		c.keepVanished(old)
	}
	return c
}

// place puts an object in force, or the last good form of a refused one.
func (c *content) place(o *object, shift int, last *placed) {
	o = o.comparedWith(last)
	origin := placeAt(c.path, o, shift, last)
	for _, p := range o.problems {
		p.File, p.Line = c.path, p.Line+shift
		if o.value == nil && last != nil && p.Severity == api.Error {
			p.Message += "; the object's last good version stays in force"
		}
		c.problems = append(c.problems, p)
	}
	of := o
	switch {
	case o.value == nil && last == nil:
		return
	case last != nil && last.of == o && last.origin == origin:
		c.objects = append(c.objects, last)
		return
	case o.value == nil, last != nil && last.content == o.content:
		// An unchanged object stays the same pointer, also where its text moved.
		kept := *o
		kept.value, kept.content = last.value, last.content
		o = &kept
	}
	c.objects = append(c.objects, &placed{object: o, origin: origin, of: of})
}

// comparedWith is the object, refused where it is worse than the form that is in force.
func (o *object) comparedWith(last *placed) *object {
	if o.value == nil || last == nil || o.kind.worse == nil || last.content == o.content {
		return o
	}
	problems := o.kind.worse(last.value, o.value)
	if len(problems) == 0 {
		return o
	}
	for i := range problems {
		problems[i].Line = o.line + o.lines.Of(problems[i].Field)
	}
	refused := *o
	refused.value, refused.problems = nil, append(slices.Clone(o.problems), problems...)
	return refused.finished(nil, nil)
}

func placeAt(path string, o *object, shift int, last *placed) *snapshot.Origin {
	origin := snapshot.Origin{File: path, Line: o.line + shift, Lines: o.lines}
	if last != nil && *last.origin == origin {
		return last.origin
	}
	return &origin
}

// keepVanished keeps what the file no longer has while something in it has no readable name: that may be it.
func (c *content) keepVanished(old *content) {
	present := map[api.ObjectRef]bool{}
	for _, d := range c.documents {
		for _, o := range d.objects {
			present[o.ref] = true
		}
	}
	for _, o := range old.objects {
		if !present[o.ref] {
			c.objects = append(c.objects, o)
		}
	}
}

// frozen is the old content with another problem.
func (c *content) frozen(path string, p api.Problem) *content {
	p.File = path
	out := &content{path: path}
	if c != nil && c.good {
		*out = *c
		p.Message += stays
	}
	out.problems = []api.Problem{p}
	return out
}

// size is how many objects are in force.
func (c *content) size() int {
	if c == nil {
		return 0
	}
	return len(c.objects)
}

// placed are the objects in force. c may be nil.
func (c *content) placed() []*placed {
	if c == nil {
		return nil
	}
	return c.objects
}

func (c *content) byRef() map[api.ObjectRef]*placed {
	if c == nil {
		return nil
	}
	out := make(map[api.ObjectRef]*placed, len(c.objects))
	for _, o := range c.objects {
		if _, ok := out[o.ref]; !ok {
			out[o.ref] = o
		}
	}
	return out
}

// document decodes a document, or finds it as it was decoded before.
func (c *content) document(sum digest, text []byte) (*document, *syntaxError) {
	if c != nil {
		if known := c.documents[sum]; known != nil {
			return known, nil
		}
	}
	root, wrong := parseDocument(text)
	if wrong != nil {
		return nil, wrong
	}
	return decodeDocument(root), nil
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func notUTF8(offset int) api.Problem {
	return api.Problem{
		Code: api.CodeNotUTF8, Severity: api.Error,
		Message: fmt.Sprintf("the file is not UTF-8: byte %d (counted from 0) begins no character", offset), Remedy: "save the file as UTF-8",
	}
}

func notYAML(wrong *syntaxError, line int) api.Problem {
	p := api.Problem{
		Code: api.CodeInvalidYAML, Severity: api.Error, Line: line,
		Message: "the file is not valid YAML: " + wrong.message, Remedy: "correct the YAML near that line",
	}
	if wrong.line > 0 {
		p.Line = line + wrong.line - 1
	}
	return p
}
