package xds

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// StreamStatus is one connected Envoy.
type StreamStatus struct {
	// Node is node.id, Gateway node.cluster; Known is false where no such Gateway is served.
	Node    string `json:"node"`
	Gateway string `json:"gateway"`
	Known   bool   `json:"known"`
	// Version is the Envoy's own; Variant is delta or sotw.
	Version   string       `json:"version,omitempty"`
	Variant   string       `json:"variant"`
	Connected time.Time    `json:"connected"`
	Types     []TypeStatus `json:"types,omitempty"`
}

// TypeStatus is what an Envoy has of one type.
type TypeStatus struct {
	Type     string `json:"type"`
	Wildcard bool   `json:"wildcard,omitempty"`
	// Wanted is how many resources the Envoy subscribes to and the Gateway has; Current, how many of those it has
	// acknowledged in their present version; Behind, how many it has not, those that it rejected included.
	Wanted  int `json:"wanted"`
	Current int `json:"current"`
	Behind  int `json:"behind"`
	// BehindSince is when the oldest change was published, or else sent, that is not acknowledged.
	BehindSince time.Time        `json:"behindSince,omitzero"`
	Rejected    []RejectedStatus `json:"rejected,omitempty"`
	LastACK     time.Time        `json:"lastACK,omitzero"`
}

// RejectedStatus is a resource whose present content the Envoy rejected.
type RejectedStatus struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Streams returns all connected Envoys, by gateway and node.
func (s *Server) Streams() []StreamStatus {
	s.mu.Lock()
	streams := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		streams = append(streams, st)
	}
	s.mu.Unlock()
	all := make([]StreamStatus, 0, len(streams))
	for _, st := range streams {
		all = append(all, st.status())
	}
	slices.SortFunc(all, func(a, b StreamStatus) int {
		return cmp.Or(strings.Compare(a.Gateway, b.Gateway), strings.Compare(a.Node, b.Node), a.Connected.Compare(b.Connected))
	})
	return all
}

// countUnknown sets the metric. s.mu is held.
func (s *Server) countUnknown() {
	count := 0
	for _, v := range s.views {
		v.mu.RLock()
		if s.ready && (!v.known || v.gone) {
			count += len(v.streams)
		}
		v.mu.RUnlock()
	}
	s.metrics.unknown.Set(float64(count))
}

func (s *stream) status() StreamStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.mu.RLock()
	defer s.view.mu.RUnlock()
	if s.view.known {
		// What has been published and not been looked at yet is behind, too. An error ends the stream when it looks itself.
		_ = s.absorb()
	}
	status := StreamStatus{
		Node: s.node.id, Gateway: s.node.gateway, Known: s.view.known && !s.view.gone,
		Version: s.node.build, Variant: s.variant.name(), Connected: s.since,
	}
	for _, st := range s.types {
		status.Types = append(status.Types, s.typeStatus(st))
	}
	return status
}

func (s *stream) typeStatus(st *typeState) TypeStatus {
	t := TypeStatus{Type: st.url, Wildcard: st.sub.wildcard, LastACK: st.lastACK}
	records := s.view.records(st.url)
	if st.sub.wildcard {
		t.Wanted = len(records)
	} else {
		st.sub.each(func(name string) {
			if records[name] != nil {
				t.Wanted++
			}
		})
	}
	for name, e := range st.entries {
		r := records[name]
		if r != nil && e.flight == nil && e.has.version == r.version {
			continue
		}
		if r != nil {
			t.Behind++
		}
		if r != nil && e.refused == r.version {
			t.Rejected = append(t.Rejected, RejectedStatus{Name: name, Version: e.refused})
		}
		since := e.changed
		if since.IsZero() && e.flight != nil {
			since = e.flight.at
		}
		if !since.IsZero() && (t.BehindSince.IsZero() || since.Before(t.BehindSince)) {
			t.BehindSince = since
		}
	}
	t.Current = t.Wanted - t.Behind
	slices.SortFunc(t.Rejected, func(a, b RejectedStatus) int { return strings.Compare(a.Name, b.Name) })
	return t
}
