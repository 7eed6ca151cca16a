package xds

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestAnswersTellWhoHasWhatAndWhatTheRejectingEnvoyHadBefore(t *testing.T) {
	before := listener("l", 1)
	w := newWorld(t, quick(), before)
	key, version := before.ResourceKey, versionOfResource(t, listener("l", 2))
	require.Equal(t, Answers{}, w.server.Answers(gateway, key))
	one, two := w.deltaNode("envoy-1"), w.deltaNode("envoy-2")
	one.subscribe(listenerType)
	one.want(listenerType, "l")
	one.quiet()
	require.Equal(t, Answers{Accepted: 1}, w.server.Answers(gateway, key))
	two.subscribe(listenerType)
	first := two.see(listenerType, "l")
	require.Equal(t, Answers{Accepted: 1, Waiting: 1}, w.server.Answers(gateway, key))
	two.ack(first)
	two.quiet()
	w.set(listener("l", 2))
	one.nack(one.see(listenerType, "l"), "no")
	one.quiet()
	require.Equal(t, Answers{Rejected: []string{"envoy-1"}, Version: version, Message: "no", Waiting: 1, Had: before}, w.server.Answers(gateway, key))
	two.want(listenerType, "l")
	two.quiet()
	require.Equal(t, Answers{Accepted: 1, Rejected: []string{"envoy-1"}, Version: version, Message: "no", Had: before}, w.server.Answers(gateway, key))
	three := w.deltaNode("envoy-0")
	three.subscribe(listenerType)
	three.nack(three.see(listenerType, "l"), "no")
	three.quiet()
	require.Equal(t, Answers{Accepted: 1, Rejected: []string{"envoy-0", "envoy-1"}, Version: version, Message: "no", Had: before}, w.server.Answers(gateway, key))
	require.Equal(t, Answers{}, w.server.Answers(gateway, api.ResourceKey{Type: listenerType, Name: "other"}))
}

// TestAnEnvoyThatTakesNothingForLongIsNoMeasure for what the others had.
func TestAnEnvoyThatTakesNothingForLongIsNoMeasure(t *testing.T) {
	w := newWorld(t, quick(), listener("l", 1))
	key := listener("l", 1).ResourceKey
	clients := []*deltaClient{w.deltaNode("envoy-0"), w.deltaNode("envoy-1"), w.deltaNode("envoy-2")}
	for _, c := range clients {
		c.subscribe(listenerType)
		c.want(listenerType, "l")
		c.quiet()
	}
	for _, seed := range []int{2, 3} {
		w.set(listener("l", seed))
		for i, c := range clients {
			if i == 0 || seed == 3 {
				c.nack(c.see(listenerType, "l"), fmt.Sprintf("no %d", min(i, 1)))
			} else {
				c.want(listenerType, "l")
			}
			c.quiet()
		}
	}
	answers := w.server.Answers(gateway, key)
	require.Equal(t, []string{"envoy-0", "envoy-1", "envoy-2"}, answers.Rejected)
	require.True(t, listener("l", 2).Equal(answers.Had))
	require.Equal(t, "no 1", answers.Message)
}

func TestRejectionOfWhatWasRejectedBeforeIsReportedAgain(t *testing.T) {
	w := newWorld(t, quick(), listener("l", 1))
	c := w.delta()
	c.subscribe(listenerType)
	c.want(listenerType, "l")
	for _, seed := range []int{2, 3, 2} {
		w.set(listener("l", seed))
		if seed == 3 {
			c.want(listenerType, "l")
		} else {
			c.nack(c.see(listenerType, "l"), "no")
		}
		c.quiet()
	}
	require.Len(t, w.rejections(), 2)
}
