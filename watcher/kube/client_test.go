package kube

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAServerThatTakesItsTimeIsThere: it answers every ping after a second, as over a long way.
func TestAServerThatTakesItsTimeIsThere(t *testing.T) {
	c := &Client{}
	c.pinged.Store(true)
	now := time.Unix(1_800_000_000, 0)
	pass := func(d time.Duration) time.Duration {
		now = now.Add(d)
		return c.silence(now)
	}
	c.hear(now)
	require.Zero(t, pass(pingAfter+signWithin))
	require.Equal(t, 2*time.Second, pass(250*time.Millisecond), "nothing is known of it yet")
	for range 20 {
		c.hear(now)
		require.Zero(t, pass(pingAfter+time.Second))
	}
	c.hear(now)
	require.True(t, time.Unix(1_800_000_000, 0).Add(2*time.Second).Equal(c.cameBack()), "but for the first time, it was there")
	require.Zero(t, pass(pingAfter+2*time.Second))
	require.NotZero(t, pass(time.Millisecond), "it is missed nevertheless")

	// It is quick again.
	for range 40 {
		c.hear(now)
		require.Zero(t, pass(pingAfter+time.Millisecond))
	}
	c.hear(now)
	require.NotZero(t, pass(pingAfter+signWithin+time.Millisecond))

	// However long it was away, it is missed in time.
	for _, away := range []time.Duration{time.Minute, pingAfter + pingTimeout} {
		c.hear(now)
		pass(away)
		c.hear(now)
		require.True(t, now.Equal(c.cameBack()))
		require.NotZero(t, pass(pingAfter+pingTimeout+time.Millisecond))
	}

	// It fell silent for a while, and is as quick as ever: the next time it is missed at once.
	c.hear(now)
	pass(pingAfter + 4*time.Second)
	c.hear(now)
	require.Zero(t, pass(pingAfter+5*time.Second), "it may be slow")
	c.hear(now)
	c.answered(time.Millisecond)
	require.NotZero(t, pass(pingAfter+signWithin+time.Millisecond))
}
