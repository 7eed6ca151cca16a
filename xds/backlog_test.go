package xds

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestPublicationDoesNotWaitForReaders(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	v := w.server.views[gateway]
	a, b := endpoints("a", 2), endpoints("b", 2)
	v.rLock()
	before := v.record(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 3)}, nil)
	w.server.SetEndpoints([]*api.Resource{a, b}, nil)
	require.Same(t, before, v.record(endpointType, "a"), "what is being read does not change")
	v.mu.RUnlock()

	v.rLock()
	defer v.mu.RUnlock()
	require.Equal(t, versionOfResource(t, a), v.record(endpointType, "a").version)
	require.Equal(t, versionOfResource(t, b), v.record(endpointType, "b").version)
	require.Empty(t, v.backlog.late)
	require.Len(t, w.server.publisher.sources, 2, "encodings that nobody is served any more")
}

func TestViewsReplaceWhatWasPublishedBeforeThem(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	v := w.server.views[gateway]
	v.rLock()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	last := endpoints("a", 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.set(last)
	}()
	v.mu.RUnlock()
	<-done
	require.Equal(t, versionOfResource(t, last), v.record(endpointType, "a").version)
}

func TestStreamsGetWhatIsPublishedWhileTheirViewIsRead(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	v := w.server.views[gateway]
	for seed := range 100 {
		v.rLock()
		w.server.SetEndpoints([]*api.Resource{endpoints("a", seed+2)}, nil)
		v.mu.RUnlock()
		c.want(endpointType, "a")
	}
	c.quiet()
}

func TestStreamIsNotWokenForWhatItCannotSendBeforeAnAnswer(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	second := c.see(endpointType, "a")
	st := w.server.streamsOf(gateway)[0]
	eventually(t, func() bool { return st.awaited.Load() != nil }, "the stream waits for an answer")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 3)}, nil)
	require.Empty(t, st.wakeup)
	w.server.SetEndpoints([]*api.Resource{endpoints("b", 2)}, nil)
	c.want(endpointType, "b")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 4), endpoints("b", 3)}, nil)
	c.want(endpointType, "b")
	c.ack(second)
	c.want(endpointType, "a")
	c.quiet()
}

func TestLastOfManyVersionsArrivesWhateverTheClientAnswersMeanwhile(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	const last = 3000
	go func() {
		for seed := 2; seed <= last; seed++ {
			w.server.SetEndpoints([]*api.Resource{endpoints("a", seed)}, nil)
		}
	}()
	for version := ""; version != versionOfResource(t, endpoints("a", last)); {
		version = c.want(endpointType, "a").GetResources()[0].GetVersion()
	}
	c.quiet()
}

func TestNothingIsLeftForLaterWhereNobodyReads(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	v := w.server.views[gateway]
	for seed := range 10 {
		v.putLater(mustRecord(t, endpoints("a", seed+2)), time.Now())
		require.Empty(t, v.backlog.late)
	}
}

func mustRecord(t *testing.T, source *api.Resource) *record {
	t.Helper()
	r, err := newRecord(source)
	require.NoError(t, err)
	return r
}
