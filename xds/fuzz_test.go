package xds

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// stranger is a client that asks whatever comes to it: names that nobody knows, wildcards between them, nonces of other types, answers
// to what was never sent. It keeps what it is sent, and lets go of what it does not ask for. It runs without a connection.
type stranger struct {
	*testing.T
	server *Server
	stream *stream
	sotw   bool
	// script says what it does, byte by byte.
	script []byte
	now    time.Time
	nonces map[string][]string
	has    map[string]map[string]string
	// rejected is true once it has rejected something: what it has then is for other tests.
	rejected bool
	seed     int
	present  map[string]bool
}

var strangeNames = []string{"a", "b", "c", "*", "", "nobody", "a", "b"}

func newStranger(t *testing.T, script []byte) *stranger {
	t.Helper()
	config := quick()
	config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	s := &stranger{
		T: t, server: New(config), script: script, now: time.Now(), nonces: map[string][]string{}, has: map[string]map[string]string{},
		present: map[string]bool{"a": true, "b": true},
	}
	s.sotw = s.choose(2) == 1
	s.publish()
	var v variant = &delta{stream: wires{}}
	if s.sotw {
		v = &stateOfTheWorld{}
	}
	st, err := s.server.open(request{node: node("stranger")}, v, nil)
	require.NoError(t, err)
	s.stream = st
	return s
}

// choose reads the script.
func (s *stranger) choose(count int) int {
	if len(s.script) == 0 {
		return 0
	}
	chosen := int(s.script[0]) % count
	s.script = s.script[1:]
	return chosen
}

func (s *stranger) publish() {
	s.seed++
	s.Logf("publish %v", s.present)
	var all []*api.Resource
	for name := range s.present {
		for _, of := range served {
			all = append(all, of.make(name, s.seed))
		}
	}
	s.server.SetViews(map[string][]*api.Resource{gateway: all})
}

func (s *stranger) someNames() (names []string) {
	for range s.choose(4) {
		names = append(names, strangeNames[s.choose(len(strangeNames))])
	}
	return names
}

func (s *stranger) someNonce(typeURL string) string {
	switch known := s.nonces[typeURL]; s.choose(5) {
	case 0, 1:
		if len(known) > 0 {
			return known[len(known)-1]
		}
	case 2:
		if len(known) > 0 {
			return known[s.choose(len(known))]
		}
	case 3:
		return fmt.Sprint(s.choose(256))
	}
	return ""
}

// act does one thing.
func (s *stranger) act() {
	switch s.choose(8) {
	case 0:
		name := strangeNames[s.choose(3)]
		if s.present[name] {
			delete(s.present, name)
		} else {
			s.present[name] = true
		}
		s.publish()
	case 1:
		s.publish()
	case 2, 3:
		s.listen()
	default:
		s.ask()
	}
}

func (s *stranger) ask() {
	of := served[s.choose(len(served))].url
	r := request{typeURL: of, nonce: s.someNonce(of)}
	first := s.stream.find(of) == nil
	if r.nonce != "" && s.choose(8) == 7 {
		r.rejected, r.message = true, []string{"", "a is bad", "nothing is good"}[s.choose(3)]
		s.rejected = true
	}
	if s.sotw {
		r.names = s.someNames()
		if s.choose(4) == 3 {
			r.version = "of another server"
		}
	} else {
		r.subscribe = s.someNames()
		// The protocol does not say what it means to ask for both.
		r.unsubscribe = slices.DeleteFunc(s.someNames(), func(name string) bool { return slices.Contains(r.subscribe, name) })
		for _, name := range s.someNames() {
			if r.initial == nil {
				r.initial = map[string]string{}
			}
			r.initial[name] = "older"
		}
	}
	s.Logf("%s ask nonce=%q nack=%t sub=%q unsub=%q initial=%v", shortType(of), r.nonce, r.rejected, r.subscribe, r.unsubscribe, r.initial)
	require.NoError(s, s.stream.take(s.Context(), r))
	if len(s.stream.wakeup) == 0 {
		// Whoever is not woken sends nothing.
		require.False(s, s.listen(), "something is owed, and the stream was not woken")
	}
	st := s.stream.find(of)
	if s.has[of] == nil {
		s.has[of] = map[string]string{}
	}
	if first {
		for name, version := range r.initial {
			s.has[of][name] = version
		}
	}
	for name := range s.has[of] {
		if !st.sub.covers(name) || !first && slices.Contains(r.subscribe, name) {
			delete(s.has[of], name)
		}
	}
}

// listen takes in what the server has to say, and says whether that was something.
func (s *stranger) listen() bool {
	select {
	case <-s.stream.wakeup:
	default:
	}
	responses, _, err := s.stream.owed(s.now)
	require.NoError(s, err)
	for _, r := range responses {
		of := r.state.url
		s.Logf("%s", shortType(of)+" "+r.nonce+" "+describe(r))
		s.nonces[of] = append(s.nonces[of], r.nonce)
		if s.sotw && isComplete(of) {
			s.has[of] = map[string]string{}
			for _, record := range r.everything {
				s.take(r, record.key.Name, record)
			}
			continue
		}
		told := map[string]bool{}
		for _, i := range r.items {
			require.False(s, told[i.name], "%s is told twice in a response", i.name)
			told[i.name] = true
			s.take(r, i.name, i.record)
		}
		for _, name := range r.absent {
			require.False(s, told[name], "%s is told twice in a response", name)
			told[name] = true
			s.take(r, name, nil)
		}
	}
	return len(responses) > 0
}

func (s *stranger) take(r *response, name string, record *record) {
	of := r.state.url
	require.True(s, r.state.sub.covers(name), "%s %q was not asked for", shortType(of), name)
	if record == nil {
		delete(s.has[of], name)
		return
	}
	s.has[of][name] = record.version
}

// settle acknowledges everything until nothing more comes.
func (s *stranger) settle() {
	quiet := 0
	for range 100 {
		if quiet++; s.listen() {
			quiet = 0
		}
		for _, of := range served {
			st := s.stream.find(of.url)
			if st == nil {
				continue
			}
			for _, nonce := range s.nonces[of.url] {
				r := request{typeURL: of.url, nonce: nonce}
				if s.sotw {
					if r.names = st.sub.list(); st.sub.wildcard && !st.sub.legacy {
						r.names = append(r.names, wildcardName)
					}
				}
				require.NoError(s, s.stream.take(s.Context(), r))
			}
			s.nonces[of.url] = s.nonces[of.url][max(0, len(s.nonces[of.url])-1):]
		}
		s.now = s.now.Add(time.Hour)
		if quiet == 3 {
			return
		}
	}
	require.Fail(s, "the server never stops")
}

// check compares what it has with what the Gateway has.
func (s *stranger) check() {
	for _, of := range served {
		st := s.stream.find(of.url)
		if st == nil || s.rejected {
			continue
		}
		want := map[string]string{}
		for name := range s.present {
			if st.sub.covers(name) {
				want[name] = versionOfResource(s.T, of.make(name, s.seed))
			}
		}
		has := s.has[of.url]
		if s.sotw && !isComplete(of.url) {
			for name := range has {
				if !s.present[name] {
					delete(has, name) // SotW has no word for it
				}
			}
		}
		require.Equal(s, want, has, "%s, SotW: %t", shortType(of.url), s.sotw)
	}
}

func play(t *testing.T, script []byte) {
	s := newStranger(t, script[:min(len(script), 400)])
	for len(s.script) > 0 {
		s.act()
	}
	s.settle()
	s.check()
	s.server.close(s.stream, "")
}

func FuzzRequests(f *testing.F) {
	for seed := range byte(8) {
		f.Add([]byte{seed, 4, seed, 0, 1, seed, 2, 4, 1, seed, 3, 0})
	}
	f.Fuzz(play)
}

func TestWhateverAClientAsksItHasWhatItShouldInTheEnd(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 20+random.IntN(200))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) { play(t, script) })
	}
}
