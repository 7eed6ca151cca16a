package xds

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// delta is the incremental variant.
type delta struct {
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	plane  *corev3.ControlPlane
	// only is the type of a stream for a single one, else empty.
	only string
}

func (d *delta) name() string         { return "delta" }
func (d *delta) complete(string) bool { return false }
func (d *delta) removes(string) bool  { return true }

func (d *delta) receive() (request, error) {
	m, err := d.stream.Recv()
	if err != nil {
		return request{}, err
	}
	typeURL, err := typeOf(d.only, m.GetTypeUrl())
	if err != nil {
		return request{}, err
	}
	return request{
		whole: m, typeURL: typeURL, node: m.GetNode(), nonce: m.GetResponseNonce(),
		rejected: m.GetErrorDetail() != nil, message: heard(m.GetErrorDetail().GetMessage()),
		subscribe: m.GetResourceNamesSubscribe(), unsubscribe: m.GetResourceNamesUnsubscribe(),
		initial: m.GetInitialResourceVersions(),
	}, nil
}

func (d *delta) accept(s *stream, st *typeState, r request) (asked []string) {
	if !st.begun {
		d.begin(st, r)
		return r.subscribe
	}
	s.answered(st, r)
	// Changes of the subscription count whatever the nonce: they are not repeated. The wildcard comes first: of a name that is let go of while
	// it covers it, the client must be told the state.
	if slices.Contains(r.unsubscribe, wildcardName) {
		s.unwantAll(st)
	}
	if len(r.subscribe) > 0 {
		// A name beside a legacy wildcard leaves that in force; from now on it is like one that was named.
		st.sub.legacy = false
	}
	if slices.Contains(r.subscribe, wildcardName) {
		s.wantAll(st)
	}
	for _, name := range r.unsubscribe {
		if name != wildcardName {
			s.unwant(st, name)
		}
	}
	for _, name := range r.subscribe {
		if name != wildcardName {
			s.want(st, name)
		}
	}
	return r.subscribe
}

func (d *delta) begin(st *typeState, r request) {
	st.begun = true
	st.initial = r.initial
	for name, version := range r.initial {
		st.claimed += len(name) + len(version)
	}
	for _, name := range r.subscribe {
		if name == wildcardName {
			st.sub.wildcard = true
		} else {
			st.sub.add(name)
		}
	}
	if len(r.subscribe) == 0 && hasLegacyWildcard(st.url) {
		st.sub.wildcard, st.sub.legacy = true, true
	}
	// A client that has nothing yet waits for an answer, even an empty one.
	st.owesAnswer = st.sub.wildcard && len(r.initial) == 0 && isServed(st.url)
}

func (d *delta) send(r *response) error {
	m := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: r.state.url, Nonce: r.nonce, ControlPlane: d.plane}
	d.plane = nil // once told, it is known
	records := make([]*record, 0, len(r.items))
	for _, i := range r.items {
		if i.record != nil {
			records = append(records, i.record)
			continue
		}
		m.RemovedResources = append(m.RemovedResources, i.name)
	}
	if len(r.absent) > 0 {
		m.RemovedResources = append(m.RemovedResources, r.absent...)
		slices.Sort(m.RemovedResources)
	}
	if !isServed(r.state.url) {
		for _, name := range m.RemovedResources {
			m.ResourceErrors = append(m.ResourceErrors, unserved(r.state.url, name))
		}
	}
	if len(records) > 0 { // of endpoints no Envoy shows it, but other clients do
		m.SystemVersionInfo = setVersion(records)
	}
	response, err := newEncoded(m, len(records))
	if err != nil {
		return err
	}
	for _, record := range records {
		response.addDelta(record)
	}
	return d.stream.SendMsg(response)
}

func unserved(typeURL, name string) *discoveryv3.ResourceError {
	return &discoveryv3.ResourceError{
		ResourceName: &discoveryv3.ResourceName{Name: name},
		ErrorDetail:  &rpcstatus.Status{Code: int32(codes.NotFound), Message: "podway serves no " + messageName(typeURL)},
	}
}
