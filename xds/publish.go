package xds

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/podway/podway/api"
)

// publisher turns resources into records, each once.
type publisher struct {
	// mu makes SetViews and SetEndpoints exclude each other.
	mu sync.Mutex
	// sources are the records of resources that are in use, by pointer; empties, those of assignments that are lacking.
	sources map[*api.Resource]*record
	empties map[string]*record
	// users are the views that have a ClusterLoadAssignment, by its name.
	users map[string][]user
	// views are what SetViews was given last, and overtaken, the names of the ClusterLoadAssignments that SetEndpoints has replaced since.
	views     map[string][]*api.Resource
	overtaken map[string]struct{}
	// routes are the records of RouteConfigurations, by name. Each has all routes of a Gateway's port: it is not encoded again for its Sources.
	routes map[string]*record
	// prepared are the records of resources that the next SetViews may bring; preparing guards them.
	preparing sync.Mutex
	prepared  map[*api.Resource]*record
}

// user is a view that has a ClusterLoadAssignment, and which.
type user struct {
	view   *view
	record *record
}

// encoder is one publication: it reuses the records of the last one.
type encoder struct {
	before, after map[*api.Resource]*record
	prepared      map[*api.Resource]*record
	emptiesBefore map[string]*record
	empties       map[string]*record
	routes        map[string]*record
	failed        []error
}

// record returns the resource's record, or nil where it cannot be encoded.
func (e *encoder) record(source *api.Resource) *record {
	if r := e.after[source]; r != nil {
		return r
	}
	r := e.before[source]
	if r == nil {
		r = e.prepared[source]
	}
	if r == nil {
		made, err := encode(source, e.routes)
		if err != nil {
			e.failed = append(e.failed, err)
			return nil
		}
		r = made
	}
	e.after[source] = r
	return r
}

// encode makes a record, or copies that of a RouteConfiguration with the same message.
func encode(source *api.Resource, routes map[string]*record) (*record, error) {
	if source.Type == routeType {
		if known := routes[source.Name]; known != nil && known.source.Shares(source) {
			copied := *known
			copied.source, copied.needs, copied.owners, copied.partial = source, source.Needs, source.Owners, source.Partial
			copied.former = newFormer(&copied)
			return &copied, nil
		}
	}
	return newRecord(source)
}

func (e *encoder) empty(name string) *record {
	r := e.emptiesBefore[name]
	if r == nil {
		made, err := newRecord(emptyAssignment(name))
		if err != nil {
			e.failed = append(e.failed, err)
			return nil
		}
		r = made
	}
	e.empties[name] = r
	return r
}

// view encodes all of one view. Clusters without an assignment get an empty one.
func (e *encoder) view(resources []*api.Resource) map[api.ResourceKey]*record {
	records := make(map[api.ResourceKey]*record, len(resources))
	for _, source := range resources {
		if r := e.record(source); r != nil {
			records[r.key] = r
		}
	}
	for _, source := range resources {
		r := records[source.ResourceKey]
		if r == nil || r.assignment == "" {
			continue
		}
		key := api.ResourceKey{Type: endpointType, Name: r.assignment}
		if records[key] == nil {
			if empty := e.empty(r.assignment); empty != nil {
				records[key] = empty
			}
		}
	}
	return records
}

// Prepare encodes resources that the next SetViews is going to bring, so that it need not, and SetEndpoints need not wait for it. It may be
// called for each view. Those that are served already cost next to nothing. One that cannot be encoded is for SetViews to tell.
func (s *Server) Prepare(resources []*api.Resource) {
	p := &s.publisher
	p.mu.Lock()
	p.preparing.Lock()
	fresh := slices.DeleteFunc(slices.Clone(resources), func(source *api.Resource) bool { return p.sources[source] != nil || p.prepared[source] != nil })
	p.preparing.Unlock()
	routes := p.routes
	p.mu.Unlock()
	prepared := make(map[*api.Resource]*record, len(fresh))
	for _, source := range fresh {
		if r, err := encode(source, routes); err == nil {
			prepared[source] = r
		}
	}
	p.preparing.Lock()
	defer p.preparing.Unlock()
	maps.Copy(prepared, p.prepared)
	p.prepared = prepared
}

// takePrepared returns what was prepared, once.
func (p *publisher) takePrepared() map[*api.Resource]*record {
	p.preparing.Lock()
	defer p.preparing.Unlock()
	prepared := p.prepared
	p.prepared = nil
	return prepared
}

// SetViews replaces what all Gateways' Envoys should have. A key is a node.cluster, NAMESPACE/NAME, or the view of a minority (SetMinorities); its
// slice is complete, ClusterLoadAssignments included. The Envoys of a Gateway that is no longer there lose its listeners and
// keep the rest. Resources are not changed afterwards. SetViews and SetEndpoints never wait for a client.
func (s *Server) SetViews(views map[string][]*api.Resource) {
	s.publisher.mu.Lock()
	defer s.publisher.mu.Unlock()
	prepared := s.publisher.takePrepared()
	if replaced, ok := s.publisher.replacements(views); ok && s.replace(views, replaced, prepared) {
		return
	}
	e := &encoder{
		before: s.publisher.sources, after: make(map[*api.Resource]*record, len(s.publisher.sources)), prepared: prepared,
		emptiesBefore: s.publisher.empties, empties: map[string]*record{}, routes: s.publisher.routes,
	}
	encoded := make(map[string]map[api.ResourceKey]*record, len(views))
	for name, resources := range views {
		encoded[name] = e.view(resources)
	}
	for _, err := range e.failed {
		s.log.Error("A resource cannot be sent", "error", err)
	}
	s.publisher.sources, s.publisher.empties = e.after, e.empties
	s.publisher.views, s.publisher.overtaken, s.publisher.routes = cloned(views), map[string]struct{}{}, routesOf(e.after)
	s.publish(encoded)
}

// publish makes the encoded views those that are served.
func (s *Server) publish(encoded map[string]map[api.ResourceKey]*record) {
	now := time.Now()
	users := make(map[string][]user, len(s.publisher.users))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	for name, records := range encoded {
		v := s.view(name)
		v.lock()
		appeared := !v.known
		v.known, v.gone = true, false
		if v.replace(records, now) || appeared {
			v.wake()
		}
		v.mu.Unlock()
		for key, r := range records {
			if key.Type == endpointType {
				users[key.Name] = append(users[key.Name], user{v, r})
			}
		}
	}
	var gone []*view
	for name, v := range s.views {
		if _, there := encoded[name]; !there {
			v.abandon()
			gone = append(gone, v)
		}
	}
	if len(s.minorities) > 0 {
		s.regroup()
	}
	for _, v := range gone {
		s.retire(v, now)
	}
	s.publisher.users = users
	s.countUnknown()
}

// abandon notes that a view is served no more.
func (v *view) abandon() {
	v.lock()
	defer v.mu.Unlock()
	v.gone = v.known
}

// retire takes the listeners of a Gateway that has gone. Its Envoys keep the rest, which serves nobody without them.
func (s *Server) retire(v *view, now time.Time) {
	v.lock()
	defer v.mu.Unlock()
	if v.gone {
		for name := range v.records(listenerType) {
			v.put(api.ResourceKey{Type: listenerType, Name: name}, nil, now)
		}
		v.wake()
	}
	if v.listening.count() == 0 {
		delete(s.views, v.name)
	}
	v.listening.each(func(st *stream) { s.warnUnknown(v, st) })
}

// SetEndpoints replaces ClusterLoadAssignments by name in every view that has
// them. Its work is in proportion to the change, not to what is served. seen says of some, by name, when what led to them was first seen;
// it serves to measure, and may be nil.
func (s *Server) SetEndpoints(changed []*api.Resource, seen map[string]Seen) {
	s.publisher.mu.Lock()
	defer s.publisher.mu.Unlock()
	now := time.Now()
	woken := map[*view][]string{}
	for _, source := range changed {
		if err := s.setEndpoints(source, seen[source.Name], now, woken); err != nil {
			s.log.Error("A resource cannot be sent", "error", err)
		}
	}
	for v, names := range woken {
		if len(names) == 1 {
			v.wakeFor(names[0])
		} else {
			v.wake()
		}
	}
}

func (s *Server) setEndpoints(source *api.Resource, seen Seen, now time.Time, woken map[*view][]string) error {
	if source.Type != endpointType {
		return fmt.Errorf("%s %s is not a ClusterLoadAssignment", messageName(source.Type), source.Name)
	}
	p := &s.publisher
	users := p.users[source.Name]
	if len(users) == 0 || p.sources[source] != nil {
		return nil
	}
	r, err := newRecord(source)
	if err != nil {
		return err
	}
	if seen != (Seen{}) {
		r.seen = &seen
	}
	for i, u := range users {
		delete(p.sources, u.record.source)
		u.view.putLater(r, now)
		if !r.sameAs(u.record) {
			woken[u.view] = append(woken[u.view], source.Name)
		}
		users[i].record = r
	}
	p.sources[source] = r
	p.overtaken[source.Name] = struct{}{}
	return nil
}
