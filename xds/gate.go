package xds

import (
	"time"

	"github.com/podway/podway/api"
)

// subscribeBound is how long it takes a client that has connected anew to say what it has of all types, at the most.
const subscribeBound = time.Second

// open is false while an item has to wait for others to reach the client.
func (p *pass) open(st *typeState, name string, e *entry) bool {
	r := p.view.record(st.url, name)
	bound := p.stream.server.config.RouteBound
	var closed bool
	switch st.url {
	case clusterType:
		if closed = p.endpointsWithheld(r, e); closed {
			bound = 0
		} else {
			closed = p.secretsWait(r)
		}
	case listenerType, routeType:
		if !e.present() {
			bound = p.stream.server.config.FirstRouteBound
		}
		if p.clustersWait(st, r, e, bound) {
			return false
		}
		closed = p.secretsWait(r)
	}
	if !closed {
		if !e.held.IsZero() {
			st.edit(e).held = time.Time{}
		}
		return true
	}
	return p.overdue(&st.edit(e).held, bound)
}

// clustersWait is true while the client lacks a cluster that the route needs, and that the route it has does not lead to
// already. Each cluster has the whole bound, however often the route changes meanwhile.
func (p *pass) clustersWait(st *typeState, r *record, e *entry, bound time.Duration) (wait bool) {
	var awaited map[string]time.Time
	for _, need := range r.needs {
		if need.Type != clusterType || p.reached(need.Name) || e.has.record != nil && e.has.record.needsAny(need) {
			continue
		}
		since := e.awaited[need.Name]
		wait = !p.overdue(&since, bound) || wait
		if awaited == nil {
			awaited = map[string]time.Time{}
		}
		awaited[need.Name] = since
	}
	if awaited != nil || e.awaited != nil {
		st.edit(e).awaited = awaited
	}
	return wait
}

// secretsWait is true while a secret that the resource needs, and that the client asked for, is itself still to be sent.
// A secret that the client does not know yet it asks for when it has the resource, and warms until it comes.
func (p *pass) secretsWait(r *record) bool {
	for _, need := range r.needs {
		if need.Type != secretType {
			continue
		}
		secrets := p.stream.find(secretType)
		if secrets == nil || !secrets.synced {
			return false
		}
		e, next := secrets.entries.get(need.Name), p.view.record(secretType, need.Name)
		if e == nil || next == nil || e.refuses(next.version) {
			continue
		}
		latest := e.has.version
		if e.flight != nil && e.sent != nil {
			latest = e.sent.version
		}
		if latest != next.version {
			return true
		}
	}
	return false
}

// overdue is true once something has been waited for longer than the bound; since is when that began. A bound of 0 is none.
func (p *pass) overdue(since *time.Time, bound time.Duration) bool {
	if since.IsZero() {
		*since = p.now
	}
	if bound == 0 {
		return false
	}
	until := since.Add(bound)
	if p.now.Before(until) {
		p.lookAgain(until)
		return false
	}
	return true
}

// reached is true for a cluster to which a route can be sent: the client has
// it, or has its endpoints, or nothing more is coming. Envoy does not warm routes: one that comes too early answers 503.
func (p *pass) reached(name string) bool {
	clusters := p.stream.find(clusterType)
	if clusters == nil || !clusters.sub.covers(name) {
		return true
	}
	if !clusters.synced {
		return false
	}
	e := clusters.entries.get(name)
	if e == nil || e.has.version != "" {
		return true
	}
	r := p.view.record(clusterType, name)
	if r == nil {
		return true
	}
	// Envoy holds back the ACK of every cluster while any of them warms. Endpoints are acknowledged one by one.
	if !r.ready || e.sent == nil || e.sent.version != r.version {
		return false
	}
	endpoints := p.stream.find(endpointType)
	if endpoints == nil || !endpoints.synced || !endpoints.sub.covers(r.assignment) {
		return false
	}
	if _, unwarmed := p.stream.unwarmed[r.assignment]; unwarmed {
		return false
	}
	assignment := endpoints.entries.get(r.assignment)
	return assignment == nil || assignment.flight == nil && assignment.has.version != ""
}

// connecting is true for a client that has just connected anew: what it has of other types it tells in its next requests.
func (p *pass) connecting() bool {
	if !p.stream.returning {
		return false
	}
	until := p.stream.since.Add(subscribeBound)
	if p.now.Before(until) {
		p.lookAgain(until)
		return true
	}
	return false
}

// endpointsWithheld is true for a changed Cluster whose endpoints the client must not be sent, because they lack a part
// that the client has, or because the client rejected them: without them the changed Cluster would warm, and have lost
// all of them at the end of it.
func (p *pass) endpointsWithheld(r *record, e *entry) bool {
	leaving := e.flight != nil && e.sent == nil
	if r.assignment == "" || leaving || e.has.version == "" || e.has.version == r.version {
		return false
	}
	assignment := p.view.record(endpointType, r.assignment)
	if assignment == nil {
		return false
	}
	endpoints := p.stream.find(endpointType)
	if endpoints == nil || !endpoints.synced {
		refused := !p.stream.shared.Load() && p.stream.server.refusals.of(p.stream.node, assignment.key, assignment.version).version != ""
		return (assignment.partial || refused) && p.connecting()
	}
	held := endpoints.entries.get(r.assignment)
	return held != nil && (held.withholds(assignment) || held.refuses(assignment.version) && held.present())
}

// removable is true once nothing that the client has refers to the name, and, of clusters, requests in flight had time to end.
func (p *pass) removable(st *typeState, name string, e *entry) bool {
	if !e.present() {
		return !p.warmsWithout(st, name)
	}
	key := api.ResourceKey{Type: st.url, Name: name}
	if st.url == endpointType && p.clusterUses(name) || p.inUse(key, e.has.record == nil) {
		if !e.unused.IsZero() {
			st.edit(e).unused = time.Time{}
		}
		return false
	}
	if st.url != clusterType || p.stream.server.config.RemovalGrace <= 0 {
		return true
	}
	return p.overdue(&st.edit(e).unused, p.stream.server.config.RemovalGrace)
}

// warmsWithout is true for a secret or RouteConfiguration that is not there, and that a Cluster or Listener waits for which is on its way out: an Envoy
// that is told that there is none has done waiting, takes into use what it warms, and until the next version of it is warm every handshake fails, or no
// route is found.
func (p *pass) warmsWithout(st *typeState, name string) bool {
	return (st.url == secretType || st.url == routeType) && p.inUse(api.ResourceKey{Type: st.url, Name: name}, true)
}

// inUse looks at the versions that the client has and that are not, or no longer, the view's. unknown is true for a name of which it is not known what
// the client has.
func (p *pass) inUse(key api.ResourceKey, unknown bool) bool {
	for _, typeURL := range users(key.Type) {
		st := p.stream.find(typeURL)
		if st == nil {
			if unknown && p.connecting() {
				return true
			}
			continue
		}
		for _, e := range st.entries.all() {
			if e.mayUse(func(r *record) bool { return r.needsAny(key) }) {
				return true
			}
		}
	}
	return false
}

// clusterUses is true while the client may have the Cluster of a ClusterLoadAssignment that has gone with it.
func (p *pass) clusterUses(name string) bool {
	clusters := p.stream.find(clusterType)
	if clusters == nil {
		return false
	}
	for clusterName, e := range clusters.entries.all() {
		if p.view.record(clusterType, clusterName) == nil && e.present() &&
			(clusterName == name || e.has.record != nil && e.has.record.assignment == name) {
			return true
		}
	}
	return false
}
