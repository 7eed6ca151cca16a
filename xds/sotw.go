package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// maxVersionBytes is how much of a version is looked at; podway's own are shorter.
const maxVersionBytes = 256

// stateOfTheWorld is the older variant, in which names are told anew in each request, and absences only by being left out.
type stateOfTheWorld struct {
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer
	plane  *corev3.ControlPlane
	// request is the last one, empty between two of them.
	request incoming[discoveryv3.DiscoveryRequest]
	// only is the type of a stream for a single one, else empty.
	only string
}

func (w *stateOfTheWorld) name() string                 { return "sotw" }
func (w *stateOfTheWorld) single() string               { return w.only }
func (w *stateOfTheWorld) complete(typeURL string) bool { return isComplete(typeURL) }
func (w *stateOfTheWorld) removes(typeURL string) bool  { return isComplete(typeURL) }

func (w *stateOfTheWorld) receive() (request, error) {
	in, m := &w.request, &w.request.message
	defer in.reset()
	if err := w.stream.RecvMsg(in); err != nil {
		return request{}, err
	}
	typeURL, err := typeOf(w.only, m.GetTypeUrl())
	if err != nil {
		return request{}, err
	}
	return request{
		size: in.size, typeURL: typeURL, node: m.GetNode(), nonce: m.GetResponseNonce(),
		rejected: m.GetErrorDetail() != nil, message: heard(m.GetErrorDetail().GetMessage()),
		names: m.GetResourceNames(), manyNames: in.names, version: m.GetVersionInfo(),
	}, nil
}

func (w *stateOfTheWorld) accept(s *stream, st *typeState, r request) (asked []string) {
	if !st.begun {
		st.begun = true
		st.version = r.version[:min(len(r.version), maxVersionBytes)]
		st.owesAnswer = isComplete(st.url)
		st.subscribe(r.names, &s.server.names)
		return r.names
	}
	stale := st.nonce != "" && r.nonce != st.nonce
	s.answered(st, r)
	if stale {
		// It was sent before the last answer arrived; the answer to that one is on its way, with the names as they are then.
		return nil
	}
	return w.resubscribe(s, st, r.names)
}

// resubscribe makes names all that the client wants, and returns those that are new. They get an answer; a request that asks only
// for fewer waits for none.
func (w *stateOfTheWorld) resubscribe(s *stream, st *typeState, names []string) (asked []string) {
	if len(names) == 0 && st.sub.legacy {
		return nil
	}
	if !st.sub.wildcard && len(st.sub.changes) == 0 && st.sub.shared.is(names) {
		return nil // as nearly always, of which the rest makes more work
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	changed := false
	switch all := wanted[wildcardName]; {
	case all && !st.sub.wildcard:
		s.wantAll(st)
		changed = true
	case all:
		st.sub.legacy = false
	case st.sub.wildcard:
		s.unwantAll(st)
		changed = true
	}
	delete(wanted, wildcardName)
	var gone []string
	st.sub.each(func(name string) {
		if !wanted[name] {
			gone = append(gone, name)
		}
	})
	for _, name := range gone {
		st.sub.remove(name)
		changed = true
		if !st.sub.covers(name) {
			st.drop(name)
		}
	}
	for _, name := range names {
		if name == wildcardName || st.sub.named(name) {
			continue
		}
		s.want(st, name)
		asked = append(asked, name)
	}
	if (changed || len(asked) > 0) && isComplete(st.url) {
		st.owesAnswer = true
	}
	return asked
}

func (w *stateOfTheWorld) send(r *response) error {
	records := r.everything
	if !isComplete(r.state.url) {
		records = make([]*record, 0, len(r.items))
		for _, i := range r.items {
			if i.record != nil {
				records = append(records, i.record)
			}
		}
	}
	head := newHead(setVersion(records), r.state.url, r.nonce)
	if w.plane != nil {
		var err error
		if head, err = (proto.MarshalOptions{}).MarshalAppend(head, &discoveryv3.DiscoveryResponse{ControlPlane: w.plane}); err != nil {
			return err
		}
		w.plane = nil // once told, it is known
	}
	response := newEncoded(head, len(records))
	for _, record := range records {
		response.addState(record)
	}
	return w.stream.SendMsg(response)
}

// sameSet is true where the version that a client brings from an earlier stream is that of all it would be sent now, and where all that it names is
// there: of a name that is not, it may not have been told, and waits for an answer.
func (s *stream) sameSet(st *typeState) bool {
	if !isComplete(st.url) {
		return false
	}
	absent := false
	st.sub.each(func(name string) { absent = absent || s.view.record(st.url, name) == nil })
	if absent {
		return false
	}
	var records []*record
	for name, r := range s.view.records(st.url) {
		if st.sub.covers(name) {
			records = append(records, r)
		}
	}
	sortRecords(records)
	return setVersion(records) == st.version
}
