package xds

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
)

// listedRejections is how many rejected names Streams lists of one type of an Envoy; StreamsOf lists all.
const listedRejections = 20

// StreamStatus is one connected Envoy.
type StreamStatus struct {
	// Node is node.id, Gateway node.cluster; Known is false where no such Gateway is served.
	Node    string `json:"node"`
	Gateway string `json:"gateway"`
	Known   bool   `json:"known"`
	// Address is the other end of its connection, HOST:PORT: of the Envoy itself, or of the last proxy before podway.
	Address string `json:"address,omitempty"`
	// View is what the Envoy is served: that of its Gateway, or of a minority (api.Minority).
	View string `json:"-"`
	// Version is the Envoy's own; Variant is delta or sotw.
	Version string `json:"version,omitempty"`
	Variant string `json:"variant"`
	// Only is the type of a stream for one alone: its Envoy may have others beside it. Empty for all types, as nearly always.
	Only      string       `json:"only,omitempty"`
	Connected time.Time    `json:"connected"`
	Types     []TypeStatus `json:"types,omitempty"`
}

// TypeStatus is what an Envoy has of one type.
type TypeStatus struct {
	Type     string `json:"type"`
	Wildcard bool   `json:"wildcard,omitempty"`
	// Wanted is how many resources the Envoy subscribes to and the Gateway has. It is the sum of Current, those that the Envoy
	// has acknowledged in their present version, Behind, those that it has not, Declined, those that it rejected, and Withheld,
	// those that podway keeps back because they lack what is not known yet and the Envoy has more.
	Wanted   int `json:"wanted"`
	Current  int `json:"current"`
	Behind   int `json:"behind"`
	Declined int `json:"declined"`
	Withheld int `json:"withheld"`
	// HeldBack is how many rejected contents are not served any more, because something accepted stands in for each. They are beside Wanted.
	HeldBack int `json:"heldBack,omitempty"`
	// Leaving is how many removals the Envoy has been sent and has not acknowledged.
	Leaving int `json:"leaving"`
	// BehindSince is when the oldest change, or removal, was published, or else sent, that is not acknowledged; zero where
	// there is none.
	BehindSince time.Time `json:"behindSince,omitzero"`
	// Rejected are the first of those declined or held back, by name.
	Rejected []RejectedStatus `json:"rejected,omitempty"`
	LastACK  time.Time        `json:"lastACK,omitzero"`
}

// IsBehind is true where something is not acknowledged.
func (t *TypeStatus) IsBehind() bool { return t.Behind+t.Leaving > 0 }

// IsRejecting is true where something was rejected.
func (t *TypeStatus) IsRejecting() bool { return t.Declined+t.HeldBack > 0 }

// RejectedStatus is a content of a resource that the Envoy rejected.
type RejectedStatus struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// HeldBack is true for a content that is not served any more: what the Envoy accepts stands in for it.
	HeldBack bool `json:"heldBack,omitempty"`
	// Message and At are empty where more has been rejected since than is remembered.
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at,omitzero"`
	// Object is the main one that the resource was made from, and Field, where it can be told, the one that is rejected. The server knows
	// no fields.
	Object api.ObjectRef `json:"object,omitzero"`
	Field  string        `json:"field,omitempty"`
}

// Streams returns all connected Envoys, by gateway and node. What it returns is bounded in proportion to their number.
func (s *Server) Streams() []StreamStatus {
	return s.statuses(listedRejections, func(*stream) bool { return true })
}

// StreamsOf returns in full the Envoys with a node.id: one, unless several share it.
func (s *Server) StreamsOf(node string) []StreamStatus {
	return s.statuses(s.config.Limits.MaxNames, func(st *stream) bool { return st.node.id == node })
}

func (s *Server) statuses(rejections int, wanted func(*stream) bool) []StreamStatus {
	count := counter{}
	all := []StreamStatus{}
	for _, st := range s.sorted(wanted) {
		all = append(all, st.status(rejections, count))
	}
	return all
}

// sorted are the streams by gateway and node, the oldest first.
func (s *Server) sorted(wanted func(*stream) bool) []*stream {
	s.mu.Lock()
	streams := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		if wanted(st) {
			streams = append(streams, st)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(streams, compareStreams)
	return streams
}

func compareStreams(a, b *stream) int {
	return cmp.Or(strings.Compare(a.node.gateway, b.node.gateway), strings.Compare(a.node.id, b.node.id), a.since.Compare(b.since))
}

// countUnknown sets the metric. s.mu is held.
func (s *Server) countUnknown() {
	count := 0
	for _, v := range s.views {
		v.rLock()
		if s.ready && !v.isThere() {
			count += v.listening.count()
		}
		v.mu.RUnlock()
	}
	s.metrics.unknown.Set(float64(count))
}

// look locks the stream and its view, with what has been published and not been looked at yet taken in, and calls do.
func (s *stream) look(do func(*pass)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.rLock()
	defer s.view.mu.RUnlock()
	if s.view.known {
		// An error ends the stream when it looks itself.
		_ = s.absorb()
	}
	do(&pass{stream: s, view: s.view, now: time.Now()})
}

func (s *stream) status(rejections int, count counter) StreamStatus {
	status := StreamStatus{Node: s.node.id, Gateway: s.node.gateway, Version: s.node.build, Variant: s.variant.name(), Only: s.variant.single(), Connected: s.since, Address: s.address()}
	s.look(func(p *pass) {
		status.Known, status.View = p.view.isThere(), p.view.name
		for _, st := range s.types {
			status.Types = append(status.Types, p.typeStatus(st, rejections, count))
		}
	})
	held := s.server.heldBackOf(s.node.id, status.View)
	for i := range status.Types {
		t := &status.Types[i]
		for n := range t.Rejected {
			known := s.server.refusals.of(s.node, api.ResourceKey{Type: t.Type, Name: t.Rejected[n].Name}, t.Rejected[n].Version)
			if known.version != "" {
				t.Rejected[n].Message, t.Rejected[n].At = known.message, known.at
			}
		}
		t.addHeldBack(held, rejections)
	}
	return status
}

func (p *pass) typeStatus(st *typeState, rejections int, count counter) TypeStatus {
	t := TypeStatus{Type: st.url, Wildcard: st.sub.wildcard, LastACK: st.lastACK, Wanted: count.wanted(p.view, st)}
	records := p.view.records(st.url)
	for name, e := range st.entries.all() {
		r := records[name]
		switch p.standingOf(st, name, e) {
		case upToDate:
		case withheld:
			t.Withheld++
		case declined:
			t.Declined++
			rejected := RejectedStatus{Name: name, Version: r.version}
			if len(r.owners) > 0 {
				rejected.Object = r.owners[0].ObjectRef
			}
			t.Rejected = append(t.Rejected, rejected)
		case late:
			if r == nil {
				t.Leaving++
			} else {
				t.Behind++
			}
			t.BehindSince = earlier(t.BehindSince, e.lateSince())
		}
	}
	if t.IsBehind() {
		t.BehindSince = st.lateSince(t.BehindSince)
	}
	t.Current = t.Wanted - t.Behind - t.Declined - t.Withheld
	slices.SortFunc(t.Rejected, func(a, b RejectedStatus) int { return strings.Compare(a.Name, b.Name) })
	t.Rejected = t.Rejected[:min(len(t.Rejected), rejections)]
	return t
}

// counter counts once what a set of names that streams share has in a view.
type counter map[countKey]int

type countKey struct {
	view    *view
	head    uint64
	typeURL string
	names   *nameSet
}

// wanted is how many resources of the view are subscribed to. The view is locked.
func (c counter) wanted(v *view, st *typeState) int {
	records := v.records(st.url)
	if st.sub.wildcard {
		return len(records)
	}
	key := countKey{view: v, head: v.head, typeURL: st.url, names: st.sub.shared}
	count, known := c[key]
	if !known {
		for _, name := range st.sub.shared.all() {
			if records[name] != nil {
				count++
			}
		}
		c[key] = count
	}
	for name, added := range st.sub.changes {
		switch {
		case records[name] == nil:
		case added:
			count++
		default:
			count--
		}
	}
	return count
}
