package files

import (
	"maps"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// editing is a picture that is made from another one. What it does not change, it shares.
type editing struct {
	cfg *snapshot.Config
	// cloned are the kinds of which the picture has a map of its own; origins is true where it has one of those.
	cloned  map[*kind]bool
	origins bool
}

// edited is the picture after some edits, without looking at other files. That cannot be, and ok is false, where an object is there more than once,
// or is to be in another file, and for a MemberCluster: they say which files count.
func (a *assembly) edited(edits []edit) (next *assembly, ok bool) {
	if a == nil || len(a.duplicates) > 0 {
		return nil, false
	}
	cfg := *a.cfg
	e := &editing{cfg: &cfg, cloned: map[*kind]bool{}}
	for _, edit := range edits {
		if !e.apply(edit) {
			return nil, false
		}
	}
	return &assembly{cfg: e.cfg, rootOf: a.rootOf}, true
}

func (e *editing) apply(edit edit) bool {
	before, after := edit.before.placed(), edit.after.placed()
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	was := make(map[api.ObjectRef]*placed, len(before))
	for _, o := range before {
		was[o.ref] = o
	}
	for _, o := range after {
		old := was[o.ref]
		if old == nil && e.cfg.Origins[o.ref] != nil {
			return false
		}
		if !e.put(old, o) {
			return false
		}
		delete(was, o.ref)
	}
	for _, o := range was {
		if !e.remove(o) {
			return false
		}
	}
	return true
}

// put takes up an object that was old before, nil for nothing.
func (e *editing) put(old, o *placed) bool {
	if old == nil || old.value != o.value {
		if o.kind.name == v1alpha1.KindMemberCluster {
			return false
		}
		e.own(o.kind)
		o.kind.objects.put(e.cfg, o.ref, o.value)
	}
	if old == nil || old.origin != o.origin {
		e.ownOrigins()
		e.cfg.Origins[o.ref] = o.origin
	}
	return true
}

func (e *editing) remove(o *placed) bool {
	if o.kind.name == v1alpha1.KindMemberCluster {
		return false
	}
	e.own(o.kind)
	o.kind.objects.remove(e.cfg, o.ref)
	e.ownOrigins()
	delete(e.cfg.Origins, o.ref)
	return true
}

func (e *editing) own(k *kind) {
	if !e.cloned[k] {
		e.cloned[k] = true
		k.objects.clone(e.cfg)
	}
}

func (e *editing) ownOrigins() {
	if !e.origins {
		e.origins = true
		e.cfg.Origins = maps.Clone(e.cfg.Origins)
	}
}
