package xds

import (
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
)

// rejected takes in a NACK: it finds out which of the response's resources was
// meant, keeps that content from being sent again, and sees to it that the others arrive.
func (s *stream) rejected(st *typeState, at int, message string) {
	s.server.metrics.rejections.WithLabelValues(shortType(st.url)).Inc()
	var suspects []item
	tainted := false
	var number uint64
	for _, r := range s.settleRejected(st, at) {
		number = r.number
		suspects = append(suspects, s.reopen(st, r)...)
		tainted = r.tainted
	}
	suspects = oldest(suspects)
	culprits := named(message, suspects)
	switch {
	case len(culprits) > 0:
	case tainted:
		// Envoy applied the others; were they sent again, this would be answered again.
		for _, i := range suspects {
			if e := st.entries.get(i.name); e != nil && number > e.removed {
				st.took(e, formerly(i.record))
			}
		}
		return
	case len(suspects) == 1:
		culprits = suspects
	default:
		st.retry = append(st.retry, halves(suspects)...)
		if s.variant.complete(st.url) {
			// What Envoy does not name it found before it applied anything. To keep them in would not find the bad one.
			return
		}
	}
	for _, i := range culprits {
		s.refuse(st, i, message)
	}
	st.doubt(number, slices.DeleteFunc(suspects, func(i item) bool {
		return slices.ContainsFunc(culprits, func(culprit item) bool { return culprit.name == i.name })
	}))
}

// settleRejected ends the flight of what a NACK can be about. A SotW Envoy that holds back its answers on clusters
// gives one for all of them in the end, with the last nonce and an error that may be of any.
func (s *stream) settleRejected(st *typeState, at int) []*response {
	if !s.variant.complete(st.url) {
		return []*response{st.settle(at)}
	}
	var settled []*response
	for range at + 1 {
		settled = append(settled, st.settle(0))
	}
	return settled
}

// reopen makes a rejected response's items due again, and returns those that can be to blame.
func (s *stream) reopen(st *typeState, r *response) []item {
	var suspects []item
	for n, i := range r.items {
		e := st.entries.get(i.name)
		switch {
		case i.record == nil && e != nil && r.own[n]:
			// Nothing can be wrong with an absence; it is not told twice.
			st.took(e, noFormer)
		case i.record == nil:
		default:
			if e != nil && r.own[n] {
				e.again = e.again || e.sentAgain
				if e.since == nil && e.sentSince != nil {
					st.edit(e).since = e.sentSince
				}
			}
			suspects = append(suspects, i)
		}
	}
	return suspects
}

// oldest leaves the first of several versions of a name: a newer one was sent to replace it, and has a chance of its own.
func oldest(items []item) []item {
	seen := make(map[string]bool, len(items))
	return slices.DeleteFunc(items, func(i item) bool {
		if seen[i.name] {
			return true
		}
		seen[i.name] = true
		return false
	})
}

// halves splits names into two groups, to be sent again apart.
func halves(items []item) [][]string {
	var groups [][]string
	for _, half := range [][]item{items[:len(items)/2], items[len(items)/2:]} {
		names := make([]string, 0, len(half))
		for _, i := range half {
			names = append(names, i.name)
		}
		if len(names) > 0 {
			groups = append(groups, names)
		}
	}
	return groups
}

// refuse keeps a rejected content from being sent again, and tells of it.
func (s *stream) refuse(st *typeState, i item, message string) {
	if e := st.entries.get(i.name); e != nil {
		x := st.edit(e)
		x.refuse(i.record.version)
		if x.maybe != nil && x.maybe.version == i.record.version {
			x.maybe = nil
		}
		// A Cluster that warms may be waiting for it: whatever comes next is sent, even what the client had before. A rejected Cluster may
		// warm for ever, see cure; its absence is told, too.
		e.tell = st.url == clusterType && e.flight == nil
		e.again = st.url == endpointType || e.tell
	}
	if st.cure != nil && st.cure.name == i.name {
		st.cure.rejected = true // it could say so once it was cured
	}
	if s.variant.complete(st.url) {
		for _, r := range st.flight {
			for _, held := range r.everything {
				r.tainted = r.tainted || held == i.record
			}
		}
	}
	what := refused{version: i.record.version, message: reasonOf(message), at: time.Now(), came: s.comingOf(i.record)}
	s.server.refusals.remember(s.node, i.record.key, what)
	s.tellRejected(i.record, what.message, false)
}

// tellRejected has a rejection told once no lock is held.
func (s *stream) tellRejected(r *record, message string, again bool) {
	s.rejections = append(s.rejections, api.Rejection{
		Node: s.node.id, View: s.view.name, Key: r.key, Version: r.version, Message: message, Owners: r.owners,
		Outdated: !s.serves(r), Again: again,
	})
}

// serves is true for a content that the view has. It is locked.
func (s *stream) serves(r *record) bool {
	now := s.view.record(r.key.Type, r.key.Name)
	return now != nil && now.version == r.version
}

// named are the items that a message names.
func named(message string, items []item) []item {
	var found []item
	for _, i := range items {
		if names(message, i.name) {
			found = append(found, i)
		}
	}
	return found
}

// names is true where the message holds the name as a whole: tunnel/a/b is not in "tunnel/a/b2".
func names(message, name string) bool {
	for from := 0; name != "" && from < len(message); {
		i := strings.Index(message[from:], name)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(name)
		before := start == 0 || !inName(message[start-1])
		after := end == len(message) || !inName(message[end]) ||
			message[end] == '.' && (end+1 == len(message) || !inName(message[end+1]))
		if before && after {
			return true
		}
		from = start + 1
	}
	return false
}

func inName(c byte) bool {
	return c == '/' || c == '-' || c == '_' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
