package xds

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/podway/podway/api"
)

// model is an Envoy as far as the server can tell one: it subscribes to what its clusters and listeners name, warms,
// rejects what is bad, and answers when it likes. It runs without a connection, on a clock of its own.
type model struct {
	*testing.T
	rand    *rand.Rand
	server  *Server
	stream  *stream
	sotw    bool
	now     time.Time
	has     map[string]map[string]*record
	sub     map[string]map[string]bool
	warming map[string]bool
	// said are requests on their way to the server, in order.
	said    []request
	nonce   map[string]string
	version map[string]string
	bad     map[string]bool
	history []string
}

type wires struct{ grpc.ServerStream }

func (wires) Send(*discoveryv3.DeltaDiscoveryResponse) error    { return nil }
func (wires) Recv() (*discoveryv3.DeltaDiscoveryRequest, error) { return nil, io.EOF }

var simulated = []string{clusterType, endpointType, listenerType, routeType}

func (m *model) connect() {
	m.Helper()
	m.said = nil
	// What a broken connection left warming ends with initial_fetch_timeout: no request tells of it.
	m.warming = map[string]bool{}
	m.nonce = map[string]string{}
	var v variant = &delta{stream: wires{}}
	if m.sotw {
		v = &stateOfTheWorld{}
	}
	st, err := m.server.open(request{node: node("envoy")}, v, nil)
	require.NoError(m, err)
	m.stream = st
	for _, typeURL := range simulated {
		r := request{typeURL: typeURL, names: m.names(typeURL), subscribe: m.names(typeURL), version: m.version[typeURL], initial: map[string]string{}}
		for name, held := range m.has[typeURL] {
			r.initial[name] = held.version
		}
		m.said = append(m.said, r)
	}
	m.speak(len(simulated))
}

func (m *model) names(typeURL string) []string {
	var all []string
	for name := range m.sub[typeURL] {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// speak lets the server hear up to count requests.
func (m *model) speak(count int) {
	for range min(count, len(m.said)) {
		r := m.said[0]
		m.said = m.said[1:]
		if m.sotw {
			r.names = m.names(r.typeURL)
		}
		require.NoError(m, m.stream.take(m.Context(), r))
	}
}

// listen takes in what the server has to say.
func (m *model) listen() {
	idle := m.stream.cursor == m.stream.view.head && !m.stream.mayOwe()
	responses, _, err := m.stream.owed(m.now)
	require.NoError(m, err)
	if idle {
		require.Empty(m, responses, "the stream would not have been woken for it")
	}
	for _, r := range responses {
		m.handle(r)
	}
}

func (m *model) handle(r *response) {
	typeURL := r.state.url
	m.nonce[typeURL] = r.nonce
	answer := request{typeURL: typeURL, nonce: r.nonce}
	sent := r.everything
	if !m.sotw || !isComplete(typeURL) {
		sent = nil
		for _, i := range r.items {
			if i.record != nil {
				sent = append(sent, i.record)
			}
		}
	}
	m.history = append(m.history, fmt.Sprintf("%s %s %s", shortType(typeURL), r.nonce, describe(r)))
	for _, record := range sent {
		if m.bad[record.version] {
			answer.rejected = true
			if isComplete(typeURL) {
				answer.message += "Error adding/updating " + record.key.Name + ": bad, "
			}
		}
	}
	if !answer.rejected || isComplete(typeURL) {
		m.apply(typeURL, sent, r)
	}
	if !answer.rejected {
		m.version[typeURL] = setVersion(sent) + "x"
		if isComplete(typeURL) {
			m.version[typeURL] = setVersion(sent)
		}
	}
	answer.version = m.version[typeURL]
	m.said = append(m.said, answer)
	m.check()
}

// tail is the last of what happened.
func (m *model) tail() []string {
	tail := slices.Clone(m.history[max(0, len(m.history)-40):])
	for _, st := range m.stream.types {
		for name, e := range st.entries.all() {
			tail = append(tail, fmt.Sprintf("\n%s %s has %s in flight %t refused %v", shortType(st.url), name, e.has.version, e.flight != nil, e.refused))
		}
	}
	return tail
}

func describe(r *response) (text string) {
	for _, i := range r.items {
		if i.record == nil {
			text += " -" + i.name
		} else {
			text += " " + i.name + "@" + i.record.version[:4]
		}
	}
	for _, name := range r.absent {
		text += " -" + name
	}
	return text
}

func (m *model) apply(typeURL string, sent []*record, r *response) {
	there := map[string]bool{}
	for _, record := range sent {
		name := record.key.Name
		there[name] = true
		before := m.has[typeURL][name]
		if m.bad[record.version] {
			continue
		}
		m.has[typeURL][name] = record
		switch typeURL {
		case clusterType:
			if before == nil || before.version != record.version {
				m.warming[name] = true
			}
			m.subscribe(endpointType, name)
		case endpointType:
			delete(m.warming, name)
		case listenerType:
			m.subscribe(routeType, "r")
		}
	}
	if m.sotw && isComplete(typeURL) {
		for name := range m.has[typeURL] {
			if !there[name] {
				m.remove(typeURL, name)
			}
		}
		return
	}
	for _, i := range r.items {
		if i.record == nil && !m.sotw && typeURL != endpointType {
			m.remove(typeURL, i.name)
		}
	}
	for _, name := range r.absent {
		if typeURL != endpointType {
			m.remove(typeURL, name)
		}
	}
}

func (m *model) remove(typeURL, name string) {
	delete(m.has[typeURL], name)
	switch typeURL {
	case clusterType:
		delete(m.warming, name)
		m.unsubscribe(endpointType, name)
	case listenerType:
		m.unsubscribe(routeType, "r")
	}
}

func (m *model) subscribe(typeURL, name string) {
	if !m.sub[typeURL][name] {
		m.sub[typeURL][name] = true
		m.said = append(m.said, request{typeURL: typeURL, nonce: m.nonce[typeURL], version: m.version[typeURL], subscribe: []string{name}})
	}
}

func (m *model) unsubscribe(typeURL, name string) {
	delete(m.sub[typeURL], name)
	delete(m.has[typeURL], name)
	m.said = append(m.said, request{typeURL: typeURL, nonce: m.nonce[typeURL], version: m.version[typeURL], unsubscribe: []string{name}})
}

// check: no route leads to a cluster that is not there, ever.
func (m *model) check() {
	m.Helper()
	for _, r := range m.has[routeType] {
		for _, need := range r.needs {
			if m.has[clusterType][need.Name] == nil && m.stream.view.record(clusterType, need.Name) != nil {
				require.Fail(m, "a route leads nowhere", "%s: %v", need.Name, m.tail())
			}
			if m.has[clusterType][need.Name] == nil {
				require.Fail(m, "a cluster in use was removed", "%s: %v", need.Name, m.tail())
			}
		}
	}
}

// publish changes something at random: what the Gateway has and, mostly, what a minority of its Envoys has.
func (m *model) publish(seed int) {
	views := map[string][]*api.Resource{gateway: m.draw(seed)}
	if m.rand.IntN(3) > 0 {
		views[api.Minority(gateway)] = m.draw(seed + 30_000)
	}
	m.server.SetViews(views)
}

// join has the Envoy belong to the minority, or not.
func (m *model) join() {
	members := map[string]map[api.Member]struct{}{}
	if m.rand.IntN(2) == 0 {
		members[api.Minority(gateway)] = map[api.Member]struct{}{{Node: "envoy"}: {}}
	}
	m.server.SetMinorities(members)
	m.history = append(m.history, "serve "+m.stream.view.name)
}

func (m *model) draw(seed int) []*api.Resource {
	var resources []*api.Resource
	var used []string
	for i := range 6 {
		name := fmt.Sprintf("c%d", i)
		if m.rand.IntN(3) == 0 {
			continue
		}
		c, e := cluster(name, m.rand.IntN(3)), endpoints(name, 1+m.rand.IntN(4))
		if m.rand.IntN(12) == 0 {
			c = m.spoil(cluster(name, 100+seed))
		} else if m.rand.IntN(2) == 0 {
			used = append(used, name)
		}
		if m.rand.IntN(12) == 0 {
			e = m.spoil(endpoints(name, 10_000+seed%50_000))
		}
		resources = append(resources, c, e)
	}
	m.history = append(m.history, fmt.Sprintf("publish %d: routes to %v", seed, used))
	return append(resources, routes("r", used...), listener("l", m.rand.IntN(2), "r"))
}

func (m *model) spoil(r *api.Resource) *api.Resource {
	m.bad[versionOfResource(m.T, r)] = true
	return r
}

// settle lets all be said and heard.
func (m *model) settle() {
	for range 200 {
		m.speak(1000)
		m.listen()
		m.now = m.now.Add(pace)
		if len(m.said) == 0 {
			return
		}
	}
	require.Fail(m, "it never settles", "%v", m.tail())
}

// current: what the Envoy has is what the view has, where it was not rejected.
func (m *model) current() {
	m.Helper()
	for _, typeURL := range simulated {
		for name, want := range m.stream.view.records(typeURL) {
			subscribed := hasLegacyWildcard(typeURL) || m.sub[typeURL][name]
			if !subscribed || m.bad[want.version] {
				continue
			}
			held := m.has[typeURL][name]
			if typeURL == clusterType && m.heldBack(name) {
				continue
			}
			require.NotNil(m, held, "%s %s: %v", shortType(typeURL), name, m.tail())
			require.Equal(m, want.version, held.version, "%s %s: %v", shortType(typeURL), name, m.tail())
		}
		for name := range m.has[typeURL] {
			if typeURL == clusterType || typeURL == listenerType {
				require.NotNil(m, m.stream.view.record(typeURL, name), "%s %s was not removed: %v", shortType(typeURL), name, m.tail())
			}
		}
	}
	for name := range m.warming {
		assignment := m.stream.view.record(endpointType, name)
		require.True(m, assignment == nil || m.bad[assignment.version], "%s warms for ever: %v", name, m.tail())
	}
}

// heldBack is true for a cluster whose endpoints were rejected.
func (m *model) heldBack(name string) bool {
	assignment := m.stream.view.record(endpointType, name)
	return assignment != nil && m.bad[assignment.version]
}

func TestAnyHistoryEndsUpToDateWithoutARouteLeadingNowhere(t *testing.T) {
	for _, sotw := range []bool{false, true} {
		for seed := range uint64(300) {
			t.Run(fmt.Sprintf("sotw=%t/%d", sotw, seed), func(t *testing.T) { simulate(t, sotw, seed) })
		}
	}
}

func simulate(t *testing.T, sotw bool, seed uint64) {
	t.Helper()
	m := &model{
		T: t, rand: rand.New(rand.NewPCG(seed, 1)), sotw: sotw, now: time.Now(),
		has: map[string]map[string]*record{}, sub: map[string]map[string]bool{}, warming: map[string]bool{},
		version: map[string]string{}, bad: map[string]bool{},
	}
	for _, typeURL := range simulated {
		m.has[typeURL], m.sub[typeURL] = map[string]*record{}, map[string]bool{}
	}
	config := quick()
	config.Logger = slog.New(slog.DiscardHandler)
	m.server = New(config)
	m.publish(0)
	m.connect()
	for i := range 60 {
		switch m.rand.IntN(9) {
		case 0, 1:
			m.publish(i + 1)
		case 2:
			if m.rand.IntN(4) == 0 && !sotw {
				m.server.close(m.stream, "")
				m.connect()
			}
		case 3, 4:
			m.now = m.now.Add(time.Second)
			m.listen()
		case 5:
			m.join()
		default:
			m.speak(1 + m.rand.IntN(3))
			m.listen()
		}
	}
	m.settle()
	m.publish(1000)
	m.settle()
	m.current()
	m.server.close(m.stream, "")
}
