package xds

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestAnswersTellWhoHasWhatAndWhatTheRejectingEnvoyHadBefore(t *testing.T) {
	before := listener("l", 1)
	w := newWorld(t, quick(), before)
	key, version := before.ResourceKey, versionOfResource(t, listener("l", 2))
	require.Equal(t, api.Answers{}, w.server.Answers(gateway, key))
	one, two := w.deltaNode("envoy-1"), w.deltaNode("envoy-2")
	one.subscribe(listenerType)
	one.want(listenerType, "l")
	one.quiet()
	require.Equal(t, api.Answers{Accepted: 1}, w.server.Answers(gateway, key))
	two.subscribe(listenerType)
	first := two.see(listenerType, "l")
	require.Equal(t, api.Answers{Accepted: 1, Waiting: 1}, w.server.Answers(gateway, key))
	two.ack(first)
	two.quiet()
	answers := func() api.Answers {
		all := w.server.Answers(gateway, key)
		require.True(t, before.Equal(all.Had))
		all.Had = nil
		return all
	}
	w.set(listener("l", 2))
	one.nack(one.see(listenerType, "l"), "no")
	one.quiet()
	require.Equal(t, api.Answers{Rejected: []string{"envoy-1"}, Builds: []string{""}, Version: version, Message: "no", Waiting: 1}, answers())
	two.want(listenerType, "l")
	two.quiet()
	require.Equal(t, api.Answers{Accepted: 1, Rejected: []string{"envoy-1"}, Builds: []string{""}, Version: version, Message: "no"}, answers())
	three := w.deltaNode("envoy-0")
	three.subscribe(listenerType)
	three.nack(three.see(listenerType, "l"), "no")
	three.quiet()
	require.Equal(t, api.Answers{Accepted: 1, Rejected: []string{"envoy-0", "envoy-1"}, Builds: []string{"", ""}, Version: version, Message: "no"}, answers())
	require.Equal(t, api.Answers{}, w.server.Answers(gateway, api.ResourceKey{Type: listenerType, Name: "other"}))
}

func TestWhoAsksForANameIsToldAlsoWhereThereIsNone(t *testing.T) {
	w := newWorld(t, quick(), listener("l", 1))
	one, two := w.deltaNode("envoy-1"), w.deltaNode("envoy-2")
	one.subscribe(listenerType)
	two.subscribe(routeType, "r")
	one.want(listenerType, "l")
	two.want(routeType, "-r")
	asking := func(of, name, node string) (int, bool) {
		return w.server.Asking(gateway, api.ResourceKey{Type: of, Name: name}, func(member api.Member, _ time.Time) bool { return member == api.Member{Node: node} })
	}
	for _, test := range []struct {
		of, name, node string
		envoys         int
		connected      bool
	}{
		{listenerType, "l", "envoy-1", 1, true},
		{listenerType, "gone", "envoy-2", 1, true},
		{routeType, "r", "envoy-3", 1, false},
		{routeType, "other", "envoy-2", 0, true},
		{clusterType, "c", "envoy-3", 0, false},
	} {
		envoys, connected := asking(test.of, test.name, test.node)
		require.Equal(t, test.envoys, envoys, test)
		require.Equal(t, test.connected, connected, test)
	}
	envoys, connected := w.server.Asking("other/gateway", api.ResourceKey{Type: listenerType, Name: "l"}, func(api.Member, time.Time) bool { return true })
	require.Zero(t, envoys)
	require.False(t, connected)
}

func TestAnEnvoyThatHadNothingIsToldFromOneThatComesBack(t *testing.T) {
	w := newWorld(t, quick(), listener("l", 1))
	one, two := w.deltaNode("envoy-1"), w.deltaNode("envoy-2")
	begun := time.Now()
	one.subscribe(listenerType)
	two.reconnect(listenerType, map[string]string{"l": one.want(listenerType, "l").GetResources()[0].GetVersion()})
	two.quiet()
	anew := map[string]bool{}
	w.server.Asking(gateway, api.ResourceKey{}, func(member api.Member, at time.Time) bool {
		anew[member.Node] = !at.IsZero() && !at.After(time.Now()) && at.After(begun.Add(-time.Minute))
		return false
	})
	require.Equal(t, map[string]bool{"envoy-1": true, "envoy-2": false}, anew)
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
