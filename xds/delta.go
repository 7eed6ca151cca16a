package xds

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// delta is the incremental variant.
type delta struct {
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	plane  *corev3.ControlPlane
	// request is the last one, empty between two of them.
	request incoming[discoveryv3.DeltaDiscoveryRequest]
	// only is the type of a stream for a single one, else empty.
	only string
}

func (d *delta) name() string         { return "delta" }
func (d *delta) single() string       { return d.only }
func (d *delta) complete(string) bool { return false }
func (d *delta) removes(string) bool  { return true }

func (d *delta) receive() (request, error) {
	in, m := &d.request, &d.request.message
	defer in.reset()
	if err := d.stream.RecvMsg(in); err != nil {
		return request{}, err
	}
	typeURL, err := typeOf(d.only, m.GetTypeUrl())
	if err != nil {
		return request{}, err
	}
	return request{
		size: in.size, typeURL: typeURL, node: m.GetNode(), nonce: m.GetResponseNonce(),
		rejected: m.GetErrorDetail() != nil, message: heard(m.GetErrorDetail().GetMessage()),
		subscribe: m.GetResourceNamesSubscribe(), unsubscribe: m.GetResourceNamesUnsubscribe(),
		manySubscribe: in.names, initial: m.GetInitialResourceVersions(),
	}, nil
}

func (d *delta) accept(s *stream, st *typeState, r request) (asked []string) {
	if !st.begun {
		d.begin(st, r, &s.server.names)
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

func (d *delta) begin(st *typeState, r request, sets *nameSets) {
	st.begun = true
	st.initial = r.initial
	for name, version := range r.initial {
		st.claimed += len(name) + len(version)
		if version == "" { // as from a server that gave none: the client has it all the same
			r.initial[name] = unknownVersion
		}
	}
	st.subscribe(r.subscribe, sets)
	// A client that has nothing yet waits for an answer, even an empty one.
	st.owesAnswer = st.sub.wildcard && len(r.initial) == 0 && isServed(st.url)
}

func (d *delta) send(r *response) error {
	records := slices.Grow(make([]*record, 0, 1), len(r.items)) // mostly one, for which nothing is allocated
	var gone []string
	for _, i := range r.items {
		if i.record == nil {
			gone = append(gone, i.name)
			continue
		}
		records = append(records, i.record)
	}
	if len(r.absent) > 0 {
		gone = append(gone, r.absent...)
		slices.Sort(gone)
	}
	version := ""
	if len(records) > 0 { // of endpoints no Envoy shows it, but other clients do
		version = setVersion(records)
	}
	head := newHead(version, r.state.url, r.nonce)
	if len(gone) > 0 || d.plane != nil {
		var err error
		if head, err = d.more(head, r.state.url, gone); err != nil {
			return err
		}
	}
	response := newEncoded(head, len(records))
	for _, record := range records {
		response.addDelta(record)
	}
	return d.stream.SendMsg(response)
}

// more appends to what is encoded of a response what most have none of.
func (d *delta) more(head []byte, typeURL string, gone []string) ([]byte, error) {
	m := &discoveryv3.DeltaDiscoveryResponse{ControlPlane: d.plane, RemovedResources: gone}
	d.plane = nil // once told, it is known
	if !isServed(typeURL) {
		for _, name := range gone {
			m.ResourceErrors = append(m.ResourceErrors, unserved(typeURL, name))
		}
	}
	return proto.MarshalOptions{}.MarshalAppend(head, m)
}

func unserved(typeURL, name string) *discoveryv3.ResourceError {
	return &discoveryv3.ResourceError{
		ResourceName: &discoveryv3.ResourceName{Name: name},
		ErrorDetail:  &rpcstatus.Status{Code: int32(codes.NotFound), Message: "podway serves no " + messageName(typeURL)},
	}
}
