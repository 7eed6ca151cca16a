package pods

import (
	"cmp"
	"strings"
)

// MaxName is the longest name that an object of Kubernetes can have, in bytes.
const MaxName = 253

// names are those of all Pods of a Group in one piece of memory: what all of them begin with, and then the rest of each, always with a byte in front
// that says how long it is. Most Pods are named after what they belong to, and have five letters of their own.
type names string

// at is what is at a place of it.
func (n names) at(place uint32) string {
	size := uint32(n[place])
	return string(n[place+1 : place+1+size])
}

// GiveNames gives Pods that were just made their names: "" for none, as is one that is longer than MaxName. All must have a Group, which nobody else
// has yet. Nothing of a name is kept.
func GiveNames(made []Pod, called []string) {
	prefix, named, size := "", 0, 0
	for _, name := range called {
		if !usable(name) {
			continue
		}
		if named == 0 {
			prefix = name
		}
		prefix = commonPrefix(prefix, name)
		named++
		size += 1 + len(name)
	}
	if named == 0 {
		return
	}
	var text strings.Builder
	text.Grow(1 + len(prefix) + size - named*len(prefix))
	add := func(part string) {
		text.WriteByte(byte(len(part)))
		text.WriteString(part)
	}
	add(prefix)
	for i, name := range called {
		if usable(name) {
			made[i].name = uint32(text.Len())
			add(name[len(prefix):])
		}
	}
	for i := range made {
		made[i].names = names(text.String())
	}
}

func usable(name string) bool { return name != "" && len(name) <= MaxName }

func commonPrefix(a, b string) string {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return a[:i]
		}
	}
	return a[:n]
}

// HasName is true for an endpoint that is a Pod.
func (p *Pod) HasName() bool { return p.name != 0 }

// Name of the Pod, "" for an endpoint that is none. It is put together each time: to compare it, there is CompareName.
func (p *Pod) Name() string {
	beginning, rest := p.parts()
	return beginning + rest
}

// AppendName appends the name.
func (p *Pod) AppendName(to []byte) []byte {
	beginning, rest := p.parts()
	return append(append(to, beginning...), rest...)
}

// CompareName compares the names of two Pods as strings.
func (p *Pod) CompareName(other *Pod) int {
	beginning, rest := p.parts()
	return compareParts(beginning, rest, other)
}

// CompareNameTo compares the name with one that is written out.
func (p *Pod) CompareNameTo(name string) int { return -compareParts(name, "", p) }

// compareParts compares what a Pod's name may be, in two parts, with the name of another.
func compareParts(beginning, rest string, other *Pod) int {
	otherBeginning, otherRest := other.parts()
	for {
		if beginning == "" {
			beginning, rest = rest, ""
		}
		if otherBeginning == "" {
			otherBeginning, otherRest = otherRest, ""
		}
		n := min(len(beginning), len(otherBeginning))
		if n == 0 {
			return cmp.Compare(len(beginning), len(otherBeginning))
		}
		if order := strings.Compare(beginning[:n], otherBeginning[:n]); order != 0 {
			return order
		}
		beginning, otherBeginning = beginning[n:], otherBeginning[n:]
	}
}

// parts are what the name begins with, as do those of the other Pods of the Group, and the rest of it.
func (p *Pod) parts() (beginning, rest string) {
	if p.name == 0 {
		return "", ""
	}
	return p.names.at(0), p.names.at(p.name)
}
