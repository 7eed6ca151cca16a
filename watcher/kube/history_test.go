package kube

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAServerThatWasPutBackIsListedAgain: a watch from a version that is still to come is opened, and says nothing.
func TestAServerThatWasPutBackIsListedAgain(t *testing.T) {
	for _, test := range []struct {
		name, before, after string
		relists             int
	}{
		{name: "put back", before: "70", after: "7", relists: 2},
		{name: "as it was", before: "70", after: "70"},
		{name: "gone on", before: "70", after: "700"},
		{name: "versions that are no numbers", before: "b", after: "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var now atomic.Pointer[oldServer]
			now.Store(&oldServer{services: 4, version: test.before})
			session, there := attach(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }), nil, nil)
			session.awaits(t, Live)
			require.Zero(t, session.Health().Relists)
			// Less than a second, and client-go takes a watch that ends for one that never was; by its clock, the watch begins a little later.
			require.Eventually(t, func() bool { return session.opened(time.Time{}, 2*time.Second) }, patience, poll)

			now.Store(&oldServer{services: 2, version: test.after})
			closed := time.Now()
			there.CloseClientConnections()
			require.Eventually(t, func() bool { return session.opened(closed, 200*time.Millisecond) }, patience, poll)
			require.Equal(t, Live, session.Health().Phase)
			require.Equal(t, test.relists, session.Health().Relists)
			services, _ := session.Sizes()
			require.Equal(t, 4-test.relists, services)
		})
	}
}

// opened says whether all watches were opened after a time, and have been open for so long.
func (s *Session) opened(after time.Time, long time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, source := range s.all() {
		if !source.streaming || !source.since.After(after) || time.Since(source.since) < long {
			return false
		}
	}
	return true
}
