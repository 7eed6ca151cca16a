package xds

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// partingMargin is how much later than pings can tell a stream of an Envoy that has gone may end.
const partingMargin = 10 * time.Second

// nodeKey is what Envoys are told apart by.
type nodeKey struct{ gateway, id string }

// nodes are the open streams by node, in the order in which they were opened. They are guarded by the mu of the server.
type nodes map[nodeKey][]*stream

func (n nodes) add(s *stream) {
	key := s.nodeKey()
	for _, other := range n[key] {
		if other.host() != s.host() { // most likely they are two Envoys
			s.shared.Store(true)
			other.shared.Store(true)
		}
	}
	n[key] = append(n[key], s)
}

func (n nodes) remove(s *stream) {
	key := s.nodeKey()
	rest := slices.DeleteFunc(n[key], func(other *stream) bool { return other == s })
	if n[key] = rest; len(rest) == 0 {
		delete(n, key)
	}
}

func (s *stream) nodeKey() nodeKey { return nodeKey{s.node.gateway, s.node.id} }

func (s *stream) aggregated() bool { return s.variant.single() == "" }

// host is where the stream comes from, without the port.
func (s *stream) host() string {
	if s.peer == nil {
		return ""
	}
	return hostOf(s.peer)
}

// rejects is true where the Envoy of a stream, on this or another one, has rejected something. Of a node that Envoys share, only those of the host count.
func (n nodes) rejects(s *stream) bool {
	return slices.ContainsFunc(n[s.nodeKey()], func(other *stream) bool { return other.rejecting.Load() && other.host() == s.host() })
}

// parting is how long the stream of an Envoy that has gone without a word may stay open after that.
func (s *Server) parting() time.Duration {
	return s.config.Limits.PingInterval + s.config.Limits.PingTimeout + partingMargin
}

// replaced are the aggregated streams whose node has opened another one lately, and when. Such a one may be of an Envoy that lost its connection,
// which podway has not noticed yet.
func (s *Server) replaced(now time.Time) map[*stream]time.Time {
	var replaced map[*stream]time.Time
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, streams := range s.nodes {
		if len(streams) == 1 {
			continue // as nearly always
		}
		for i, next := range streams {
			if !next.aggregated() || now.Sub(next.since) > s.parting() {
				continue
			}
			for _, before := range streams[:i] {
				if _, there := replaced[before]; there || !before.aggregated() {
					continue
				}
				if replaced == nil {
					replaced = map[*stream]time.Time{}
				}
				replaced[before] = next.since
			}
		}
	}
	return replaced
}

// heardSince is true where the client has acknowledged something after a time. Stream and view are locked.
func (s *stream) heardSince(at time.Time) bool {
	return slices.ContainsFunc(s.types, func(st *typeState) bool { return st.lastACK.After(at) })
}

// stays is true for an aggregated stream of a Gateway that is served, opened before a time. The server's mu is held.
func (s *stream) stays(before time.Time) bool {
	return s.aggregated() && s.since.Before(before) && s.view.isThere()
}

// SharedNode is a node.id that several Envoys of a Gateway seem to have.
type SharedNode struct{ Gateway, Node string }

// SharedNodes returns each node.id that has had aggregated streams from several hosts for longer than one whose Envoy has gone stays open, by Gateway and
// node. Two from one host are also those of an Envoy that is restarted hot, for as long as that takes. Its work is in proportion to the streams.
func (s *Server) SharedNodes() []SharedNode {
	before := time.Now().Add(-s.parting())
	var all []SharedNode
	s.mu.Lock()
	for key, streams := range s.nodes {
		first := slices.IndexFunc(streams, func(st *stream) bool { return st.stays(before) })
		if first >= 0 && slices.ContainsFunc(streams[first:], func(st *stream) bool { return st.stays(before) && st.host() != streams[first].host() }) {
			all = append(all, SharedNode{Gateway: key.gateway, Node: key.id})
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b SharedNode) int {
		return cmp.Or(strings.Compare(a.Gateway, b.Gateway), strings.Compare(a.Node, b.Node))
	})
	return all
}
