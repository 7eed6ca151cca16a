package xds

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// rejectedOf are the versions of a name that were rejected, as they were told.
func rejectedOf(w *world, key api.ResourceKey) (versions []string) {
	for _, r := range w.rejections() {
		if r.Key == key {
			versions = append(versions, r.Version)
		}
	}
	return versions
}

func TestDeltaContentRejectedBeforeItsStandInIsNotSentAgain(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), of.make("a", 1), of.make("b", 1))
			c := w.delta()
			c.subscribe(of.url, "a", "b")
			c.reject("")
			for seed := 2; seed <= 4; seed++ {
				w.set(of.make("a", seed), of.make("b", 1))
				c.nack(c.see(of.url, "a"), "bad")
				c.quiet()
			}
			for seed := 4; seed >= 2; seed-- {
				w.set(of.make("a", seed), of.make("b", 1))
				c.quiet()
				rejected := w.server.Streams()[0].Types[0].Rejected
				require.Len(t, rejected, 1)
				require.Equal(t, versionOfResource(t, of.make("a", seed)), rejected[0].Version)
				require.Equal(t, "bad", rejected[0].Message)
				require.Equal(t, []string{"envoy-1"}, w.server.Answers(gateway, api.ResourceKey{Type: of.url, Name: "a"}).Rejected)
			}
			// Whoever looks for what is to blame hears of it as if it had been sent.
			var told []string
			for _, seed := range []int{2, 3, 4, 3, 2} {
				told = append(told, versionOfResource(t, of.make("a", seed)))
			}
			require.Equal(t, told, rejectedOf(w, api.ResourceKey{Type: of.url, Name: "a"}))
			again := w.delta()
			again.reconnect(of.url, map[string]string{
				"a": versionOfResource(t, of.make("a", 1)), "b": versionOfResource(t, of.make("b", 1)),
			}, "a", "b")
			again.quiet()
			w.set(of.make("a", 3), of.make("b", 1))
			again.quiet()
			w.set(of.make("a", 5), of.make("b", 1))
			again.want(of.url, "a")
			again.quiet()
		})
	}
}

func TestSotWContentRejectedBeforeItsStandInIsNotSentAgain(t *testing.T) {
	for _, of := range served[2:] {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newSotWWorld(t, of.make("a", 1), of.make("b", 1))
			c := w.sotw()
			c.subscribe(of.url, "a", "b")
			c.reject("")
			for seed := 2; seed <= 4; seed++ {
				w.set(fenced(of.make("a", seed), of.make("b", 1))...)
				c.nack(c.next(), "a: bad")
				c.quiet()
			}
			for seed := 4; seed >= 2; seed-- {
				w.set(fenced(of.make("a", seed), of.make("b", 1))...)
				c.quiet()
			}
			require.Len(t, rejectedOf(w, api.ResourceKey{Type: of.url, Name: "a"}), 5)
			w.set(fenced(of.make("a", 5), of.make("b", 1))...)
			r := c.next()
			require.Contains(t, sotwNames(t, r), "a")
			c.ack(r)
			c.quiet()
			w.wantBehind(0)
		})
	}
}

func TestContentThatWasRejectedAndThenReplacedByWhatIsTakenIsTriedAgain(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.nack(c.see(endpointType, "a"), "bad")
	w.set(endpoints("a", 2))
	c.nack(c.see(endpointType, "a"), "bad")
	w.set(endpoints("a", 3))
	c.want(endpointType, "a")
	c.quiet()
	w.set(endpoints("a", 1))
	c.want(endpointType, "a")
	c.quiet()
	require.Len(t, w.rejections(), 2)
}

func TestRejectionIsToldAgainWhereTheContentChangedWhileItsEnvoyWasAway(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	had := map[string]string{"a": versionOfResource(t, endpoints("a", 1))}
	w.set(endpoints("a", 2))
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	same := w.delta()
	same.reconnect(endpointType, had, "a")
	same.quiet()
	require.Len(t, w.rejections(), 1)
	c.cancel()
	same.cancel()
	eventually(t, func() bool { return len(w.server.Streams()) == 0 }, "the Envoy is away")
	w.set(endpoints("a", 3))
	w.set(endpoints("a", 2))
	again := w.delta()
	again.reconnect(endpointType, had, "a")
	again.quiet()
	require.Len(t, w.rejections(), 2)
	first, later := w.rejections()[0], w.rejections()[1]
	require.True(t, later.Again)
	later.Again = false
	require.Equal(t, first, later)
}

func TestRefusalsOfOneNameAreBounded(t *testing.T) {
	var e extra
	for _, version := range []string{"a", "b", "a", "c", "d", "e", "f", "g", "h", "i"} {
		e.refuse(version)
	}
	require.Equal(t, []string{"b", "c", "d", "e", "f", "g", "h", "i"}, e.refused)
	require.False(t, e.refuses("a"))
	require.True(t, e.refuses("i"))
	e.pardon("d")
	require.False(t, e.refuses("d"))
	require.Len(t, e.refused, 7)
}
