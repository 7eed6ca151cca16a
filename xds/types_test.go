package xds

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// served are the types in the order in which a change goes, each with how a test makes one that needs nothing.
var served = []struct {
	url  string
	make func(name string, seed int) *api.Resource
}{
	{secretType, secret},
	{clusterType, cluster},
	{endpointType, func(name string, seed int) *api.Resource { return endpoints(name, seed) }},
	{listenerType, func(name string, seed int) *api.Resource { return listener(name, seed) }},
	{routeType, func(name string, seed int) *api.Resource {
		r := routes(name)
		r.Message = routes(name, string(rune('a'+seed))).Message
		return r
	}},
}

// oneOfEach has one resource of each type, named a.
func oneOfEach(seed int) (resources []*api.Resource) {
	for _, of := range served {
		resources = append(resources, of.make("a", seed))
	}
	return resources
}

func TestDeltaOneStreamCarriesEveryType(t *testing.T) {
	w := newWorld(t, quick(), oneOfEach(1)...)
	c := w.delta()
	for _, of := range served {
		c.subscribe(of.url, "a")
	}
	for _, of := range served {
		c.want(of.url, "a")
	}
	c.quiet()
	w.set(oneOfEach(2)...)
	for _, of := range served {
		c.want(of.url, "a")
	}
	c.quiet()
}

func TestSotWOneStreamCarriesEveryType(t *testing.T) {
	w := newWorld(t, quick(), oneOfEach(1)...)
	c := w.sotw()
	for _, of := range served {
		c.subscribe(of.url, "a")
	}
	for _, of := range served {
		c.want(of.url, "a")
	}
	w.set(oneOfEach(2)...)
	for range served {
		c.ack(c.next())
	}
	w.wantBehind(0)
	require.Empty(t, c.responses)
}

// wantBehind waits until that many resources are not acknowledged, over all streams.
func (w *world) wantBehind(count int) {
	w.Helper()
	eventually(w.T, func() bool {
		behind := 0
		for _, st := range w.server.Streams() {
			for _, of := range st.Types {
				behind += of.Wanted - of.Current
			}
		}
		return behind == count
	}, "%d resources are not acknowledged", count)
}

func TestDeltaAbsentNameOfAnyTypeIsToldAndSentWhenItAppears(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick())
			c := w.delta()
			c.subscribe(of.url, "a")
			c.want(of.url, "-a")
			w.set(of.make("a", 1), of.make("b", 1))
			c.want(of.url, "a")
			c.quiet()
		})
	}
}

func TestSotWAbsentNameOfAnyTypeIsSentWhenItAppears(t *testing.T) {
	for _, of := range served[1:] {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newSotWWorld(t)
			c := w.sotw()
			c.subscribe(of.url, "a")
			if isComplete(of.url) {
				c.want(of.url) // all that there is of it: nothing
			}
			c.quiet()
			w.set(fenced(of.make("a", 1), of.make("b", 1))...)
			c.want(of.url, "a")
			c.quiet()
		})
	}
}

func TestDeltaResubscriptionOfAnyTypeIsSentAgain(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), of.make("a", 1), of.make("b", 1))
			c := w.delta()
			c.subscribe(of.url, "a")
			c.want(of.url, "a")
			c.subscribe(of.url, "a")
			c.want(of.url, "a")
			c.unsubscribe(of.url, "a")
			c.subscribe(of.url, "a")
			c.want(of.url, "a")
			c.quiet()
		})
	}
}

func TestDeltaReconnectOfAnyTypeIsSentOnlyWhatDiffers(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), of.make("same", 1), of.make("changed", 2), of.make("new", 1), of.make("unwanted", 1))
			c := w.delta()
			has := map[string]string{
				"same": versionOfResource(t, of.make("same", 1)), "changed": versionOfResource(t, of.make("changed", 1)),
				"gone": "x", "unwanted": "x",
			}
			c.reconnect(of.url, has, "same", "changed", "new", "gone")
			got := map[string]bool{}
			for len(got) < 3 {
				r := c.next()
				for _, name := range deltaNames(r) {
					got[name] = true
				}
				c.ack(r)
			}
			require.Equal(t, map[string]bool{"changed": true, "new": true, "-gone": true}, got)
			c.quiet()
		})
	}
}

func TestSotWReconnectIsAnsweredForEveryNamedType(t *testing.T) {
	for _, of := range served[1:] {
		if isComplete(of.url) {
			continue
		}
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newSotWWorld(t, of.make("a", 1))
			c := w.sotw()
			c.versions[of.url] = versionOfResource(t, of.make("a", 1))
			c.subscribe(of.url, "a")
			c.want(of.url, "a")
			c.quiet()
		})
	}
}

func TestSotWReconnectIsAnsweredForSecrets(t *testing.T) {
	w := newWorld(t, quick(), secret("a", 1))
	c := w.sotw()
	c.versions[secretType] = versionOfResource(t, secret("a", 1))
	c.subscribe(secretType, "a")
	c.want(secretType, "a")
}
