package xds

import (
	"slices"
	"time"
)

const (
	// cureBound is how long an Envoy may take to acknowledge what cures it.
	cureBound = time.Second
	// slowFactor is how much longer a cluster may take that waits for health checks or for secrets.
	slowFactor = 3
	// stuckMessage stands for the one that Envoy does not give.
	stuckMessage = "Envoy neither accepts nor rejects the cluster, and answers again once it is taken back: it cannot build it, " +
		"as with a load balancer that it does not take"
)

// cure is the search for a cluster that keeps an Envoy from answering. One that fails while its load balancer is built stays
// warming, even where Envoy has rejected it, and while another one warms beside it, Envoy answers nothing on clusters any more,
// not even after it has connected anew. A valid version of the cluster, or its removal, ends that at once.
type cure struct {
	// number is that of the response that is to cure; at is when it was sent.
	number uint64
	at     time.Time
	// name is what the Envoy may be stuck at, empty between two attempts; record, what it was sent of it.
	name   string
	record *record
	// rejected is true where the Envoy said itself that it does not take it.
	rejected bool
	// tried are the versions by name that it turned out not to be.
	tried map[string]string
}

// unstick looks for a cluster that keeps an Envoy from answering, and takes it back: the version before is sent, or else its removal. Where
// that does not help, it was another. What the Envoy rejected comes first.
func (p *pass) unstick(st *typeState) {
	bound := p.stream.server.config.StuckBound
	if st.url != clusterType || !st.synced || bound < 0 {
		return
	}
	if len(st.flight) == 0 {
		st.cure = nil
		return
	}
	if c := st.cure; c != nil && c.name != "" {
		if until := c.at.Add(cureBound); p.now.Before(until) {
			p.lookAgain(until)
			return
		}
		p.acquit(st, c)
	}
	if until := st.flight[0].at.Add(bound); p.now.Before(until) {
		p.lookAgain(until)
		return
	}
	for rank := rejectedBefore; rank <= answeredNew; rank++ {
		for _, i := range p.suspects(st, rank) {
			if p.treat(st, i, rank == rejectedBefore) {
				return
			}
		}
	}
}

// The ranks of suspects: how likely it is that they are what the Envoy is stuck at.
const (
	// rejectedBefore is a cluster that the Envoy rejected, and may have kept warming.
	rejectedBefore = iota
	// unasked is a new one whose endpoints the Envoy has not asked for: it did not get as far.
	unasked
	// answeredChange and answeredNew have had all that they need.
	answeredChange
	answeredNew
)

// suspects are the clusters of a rank, oldest first. Those that have not been there for long enough are left out.
func (p *pass) suspects(st *typeState, rank int) []item {
	var found []item
	if rank == rejectedBefore {
		for name, e := range st.entries.all() {
			if r := p.view.record(st.url, name); r != nil && e.refuses(r.version) && e.flight == nil {
				found = append(found, item{name: name, record: r})
			}
		}
		slices.SortFunc(found, byName)
		return found
	}
	for _, r := range st.flight {
		for _, i := range r.items {
			e := st.entries.get(i.name)
			if i.record == nil || e == nil || e.flight != r || e.sent != i.record || len(e.refused) > 0 || i.record.assignment == "" {
				continue
			}
			if wanted := p.view.record(st.url, i.name); wanted == nil || wanted.version != i.record.version || p.rank(e, i.record) != rank {
				continue
			}
			bound := p.stream.server.config.StuckBound
			if !i.record.ready && rank != unasked {
				bound *= slowFactor
			}
			if until := r.at.Add(bound); p.now.Before(until) {
				p.lookAgain(until)
				continue
			}
			found = append(found, i)
		}
	}
	return found
}

// rank is that of a cluster that was sent, -1 for one that may rightly be warming: its endpoints are not acknowledged.
func (p *pass) rank(e *entry, r *record) int {
	endpoints := p.stream.find(endpointType)
	if endpoints == nil || !endpoints.synced {
		return -1
	}
	isNew := e.has.version == ""
	if !endpoints.sub.covers(r.assignment) {
		if isNew {
			return unasked
		}
		return -1
	}
	_, unwarmed := p.stream.unwarmed[r.assignment]
	if held := endpoints.entries.get(r.assignment); unwarmed || held != nil && held.flight != nil {
		return -1
	}
	if isNew {
		return answeredNew
	}
	return answeredChange
}

// treat sends what the Envoy had before the cluster that it may be stuck at.
func (p *pass) treat(st *typeState, suspect item, rejected bool) bool {
	name, stuck := suspect.name, suspect.record
	e := st.entries.get(name)
	before := item{name: name, record: e.has.record}
	if st.cure != nil && st.cure.tried[name] == stuck.version || e.has.version != "" && e.has.record == nil || !p.window(st, []item{before}) {
		return false // of what the Envoy brought from an earlier stream only the version is known
	}
	if st.cure == nil {
		st.cure = &cure{tried: map[string]string{}}
	}
	st.edit(e).refuse(stuck.version)
	p.respond(st, []item{before})
	c := st.cure
	c.name, c.record, c.rejected, c.at, c.number = name, stuck, rejected, p.now, p.stream.sent
	p.lookAgain(p.now.Add(cureBound))
	return true
}

// acquit lets a cluster have its way again, that it was not.
func (p *pass) acquit(st *typeState, c *cure) {
	c.tried[c.name] = c.record.version
	if e := st.entries.get(c.name); e != nil && e.refuses(c.record.version) && !c.rejected {
		st.edit(e).pardon(c.record.version)
	}
	c.name = ""
}

// cured tells what the Envoy was stuck at, once it answers what was sent to cure it.
func (s *stream) cured(st *typeState, r *response) {
	c := st.cure
	if c == nil || c.name == "" || r.number < c.number {
		return
	}
	e := st.entries.get(c.name)
	c.tried[c.name], c.name = c.record.version, ""
	if e == nil || !e.refuses(c.record.version) {
		return
	}
	if !c.rejected {
		s.refuse(st, item{name: c.record.key.Name, record: c.record}, stuckMessage)
	}
	e.again, e.tell = false, false // what ends it has been sent
}
