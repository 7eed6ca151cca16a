package xds

import (
	"maps"
	"slices"
	"time"

	"github.com/podway/podway/api"
)

// replacements are what views have instead of what they had, by view, where each has the same keys in the same order: the usual change is of few
// resources. ok is false where it is another one.
func (p *publisher) replacements(views map[string][]*api.Resource) (replaced map[string][]*api.Resource, ok bool) {
	if len(views) != len(p.views) {
		return nil, false
	}
	replaced = make(map[string][]*api.Resource, len(views))
	for name, now := range views {
		before, known := p.views[name]
		if !known || len(before) != len(now) {
			return nil, false
		}
		for i := range now {
			if before[i] == now[i] && !p.isOvertaken(now[i]) {
				continue
			}
			if before[i].ResourceKey != now[i].ResourceKey {
				return nil, false
			}
			replaced[name] = append(replaced[name], now[i])
		}
	}
	return replaced, true
}

// isOvertaken is true for a resource that may not be what is served, though it is what SetViews brought.
func (p *publisher) isOvertaken(source *api.Resource) bool {
	if len(p.overtaken) == 0 || source.Type != endpointType {
		return false
	}
	_, overtaken := p.overtaken[source.Name]
	return overtaken
}

// replace puts other resources in the places of some. It does nothing, and returns false, where one cannot be encoded, or a Cluster takes its
// endpoints from elsewhere now.
func (s *Server) replace(views map[string][]*api.Resource, replaced map[string][]*api.Resource, prepared map[*api.Resource]*record) bool {
	p := &s.publisher
	e := &encoder{before: p.sources, after: map[*api.Resource]*record{}, prepared: prepared, routes: p.routes}
	for _, resources := range replaced {
		for _, source := range resources {
			if e.record(source) == nil {
				return false
			}
		}
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, resources := range replaced {
		if v := s.views[name]; v == nil || !v.hasPlaces(resources, e.after) {
			return false
		}
	}
	var old []*api.Resource
	for name, resources := range replaced {
		v := s.views[name]
		changed := false
		v.lock()
		for _, source := range resources {
			r := e.after[source]
			old = append(old, v.record(source.Type, source.Name).source)
			changed = v.put(source.ResourceKey, r, now) || changed
			p.use(v, r)
		}
		v.mu.Unlock()
		if changed {
			v.wake()
		}
	}
	for _, source := range old {
		if e.after[source] == nil && !s.serves(source) {
			delete(p.sources, source)
		}
	}
	maps.Copy(p.sources, e.after)
	for name, resources := range views {
		copy(p.views[name], resources)
	}
	p.overtaken = map[string]struct{}{}
	return true
}

// hasPlaces is true for a view that has all names, and Clusters that take their endpoints from where the new ones do.
func (v *view) hasPlaces(resources []*api.Resource, records map[*api.Resource]*record) bool {
	v.rLock()
	defer v.mu.RUnlock()
	for _, source := range resources {
		if before := v.record(source.Type, source.Name); before == nil || before.assignment != records[source].assignment {
			return false
		}
	}
	return true
}

// use notes that a view has a record. The maps that others may be reading are copied.
func (p *publisher) use(v *view, r *record) {
	switch r.key.Type {
	case endpointType:
		for i, u := range p.users[r.key.Name] {
			if u.view == v {
				p.users[r.key.Name][i].record = r
			}
		}
	case routeType:
		p.routes = maps.Clone(p.routes)
		p.routes[r.key.Name] = r
	}
}

// serves says whether a view has a resource. s.mu is held.
func (s *Server) serves(source *api.Resource) bool {
	for _, v := range s.views {
		v.rLock()
		r := v.record(source.Type, source.Name)
		v.mu.RUnlock()
		if r != nil && r.source == source {
			return true
		}
	}
	return false
}

// cloned are views in slices of their own.
func cloned(views map[string][]*api.Resource) map[string][]*api.Resource {
	out := make(map[string][]*api.Resource, len(views))
	for name, resources := range views {
		out[name] = slices.Clone(resources)
	}
	return out
}

// routesOf are the records of RouteConfigurations by their names.
func routesOf(sources map[*api.Resource]*record) map[string]*record {
	routes := map[string]*record{}
	for source, r := range sources {
		if source.Type == routeType {
			routes[source.Name] = r
		}
	}
	return routes
}
