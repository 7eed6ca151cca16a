package xds

import "time"

// Behind is a type of which an Envoy has not acknowledged the present state for some time. What it rejected does not count, nor what
// podway keeps back.
type Behind struct {
	Node    string
	Gateway string
	// Connected tells streams of one node apart.
	Connected time.Time
	Type      string
	// Count is how many resources, removals included.
	Count int
	// Since is when the oldest change was published, or else sent, that is not acknowledged.
	Since time.Time
}

// Behind returns what is not acknowledged for longer than the given time, by gateway, node and type. Gateways that are not served are
// owed nothing, nor is an Envoy on a stream that is silent since it opened another one, until pings tell whether there still is one. Its work is in proportion to the streams and to what they have not acknowledged, not to what they have.
func (s *Server) Behind(longer time.Duration) []Behind {
	var all []Behind
	replaced := s.replaced(time.Now())
	for _, st := range s.sorted(func(*stream) bool { return true }) {
		st.look(func(p *pass) {
			if at, is := replaced[st]; !p.view.isThere() || is && !st.heardSince(at) {
				return
			}
			before := p.now.Add(-longer)
			for _, ts := range st.types {
				if !ts.mayBeLate(before) {
					continue
				}
				if b := p.behind(ts); b.Count > 0 && !b.Since.IsZero() && !b.Since.After(before) {
					all = append(all, b)
				}
			}
		})
	}
	return all
}

// mayBeLate is false where nothing was published or sent so long ago that is not acknowledged. It spares the closer look at each name while
// an Envoy is just busy.
func (st *typeState) mayBeLate(before time.Time) bool {
	var since time.Time
	for _, e := range st.entries.all() {
		since = earlier(since, e.lateSince())
	}
	since = st.lateSince(since)
	return !since.IsZero() && !since.After(before)
}

func (p *pass) behind(st *typeState) Behind {
	b := Behind{Node: p.stream.node.id, Gateway: p.stream.node.gateway, Connected: p.stream.since, Type: st.url}
	for name, e := range st.entries.all() {
		if p.standingOf(st, name, e) == late {
			b.Count++
			b.Since = earlier(b.Since, e.lateSince())
		}
	}
	if b.Count > 0 {
		b.Since = st.lateSince(b.Since)
	}
	return b
}

// ShortType is a type URL as podway's metrics and tables have it: sds, cds, eds, lds, rds, or other.
func ShortType(typeURL string) string { return shortType(typeURL) }

// ShortTypes are those of the types that podway serves, in the order in which a change is sent.
func ShortTypes() []string {
	short := make([]string, len(order))
	for i, typeURL := range order {
		short[i] = shortType(typeURL)
	}
	return short
}
