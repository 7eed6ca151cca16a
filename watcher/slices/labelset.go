package slices

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"unique"

	"github.com/podway/podway/api/pods"
)

// LabelSet is all labels of a Pod. It takes one word: those that are equal are the same, also while a long list of Pods is on its way. The zero
// LabelSet, NoLabels, is none at all.
type LabelSet struct {
	// packed has each label's name and value, sorted by name, each with its length in front.
	packed unique.Handle[string]
}

// NoLabels says that there are none: no Pod, not a Pod without any.
var NoLabels LabelSet

// LabelSetOf is the LabelSet of labels, of which it keeps no part; NoLabels only for nil.
func LabelSetOf(labels map[string]string) LabelSet {
	if labels == nil {
		return NoLabels
	}
	return pack(pods.LabelsOf(labels))
}

// labelSet is the LabelSet of the labels. Of two of one name the later one counts, as in any map of protobuf.
func (d *draft) labelSet() LabelSet {
	slices.SortStableFunc(d.labels, func(a, b pods.Label) int { return strings.Compare(a.Name, b.Name) })
	return pack(d.labels)
}

// pack makes the LabelSet of sorted labels.
func pack(labels []pods.Label) LabelSet {
	const usually = 512 // bytes at the most, which need no memory then
	packed := make([]byte, 0, usually)
	for i, label := range labels {
		if i+1 < len(labels) && labels[i+1].Name == label.Name {
			continue
		}
		for _, text := range [...]string{label.Name, label.Value} {
			packed = binary.AppendUvarint(packed, uint64(len(text)))
			packed = append(packed, text...)
		}
	}
	return LabelSet{unique.Make(string(packed))}
}

// unpack makes a map of the labels, whose strings are shared.
func (l LabelSet) unpack() map[string]string {
	f := fields{rest: l.packed.Value()}
	labels := map[string]string{}
	for f.rest != "" {
		name := f.take(f.varint())
		labels[shared(name)] = shared(f.take(f.varint()))
	}
	return labels
}

// podLabels are the labels of a Pod, nil where they are not known, and the Services whose slices name it.
type podLabels struct {
	shared *sharedLabels
	// user is the first of the Services, nil for none: most Pods have one. others are the rest.
	user   *entry
	others *[]*entry
}

// sharedLabels are the labels of all Pods that have the same.
type sharedLabels struct {
	labels map[string]string
	of     LabelSet
	users  int
}

func (p *podLabels) labels() LabelSet {
	if p.shared == nil {
		return NoLabels
	}
	return p.shared.of
}

// users are the Services whose slices name the Pod.
func (p *podLabels) users() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		if p.user == nil || !yield(p.user) || p.others == nil {
			return
		}
		for _, user := range *p.others {
			if !yield(user) {
				return
			}
		}
	}
}

// use adds a Service, and says whether it was not there.
func (p *podLabels) use(service *entry) bool {
	for user := range p.users() {
		if user.name == service.name {
			return false
		}
	}
	switch {
	case p.user == nil:
		p.user = service
	case p.others == nil:
		p.others = &[]*entry{service}
	default:
		*p.others = append(*p.others, service)
	}
	return true
}

// leave takes a Service out.
func (p *podLabels) leave(service *entry) {
	var rest []*entry
	if p.others != nil {
		rest = slices.DeleteFunc(*p.others, func(user *entry) bool { return user.name == service.name })
	}
	if p.user != nil && p.user.name == service.name {
		if p.user = nil; len(rest) > 0 {
			p.user, rest = rest[0], rest[1:]
		}
	}
	if p.others = nil; len(rest) > 0 {
		p.others = &rest
	}
}
