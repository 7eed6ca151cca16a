package holdback

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// leave disconnects an Envoy.
func (c *court) leave(node string) {
	delete(c.jury.has, node)
	delete(c.jury.rejects, node)
	delete(c.jury.refused, node)
}

// wait judges for a time.
func (c *court) wait(long time.Duration) {
	c.Helper()
	for end := c.now.Add(long); c.now.Before(end); {
		if c.judge() {
			c.again()
		}
	}
}

func takeAll(*api.Resource) bool { return false }

func TestWhatOnlyEnvoysRejectedThatHaveGoneIsTriedAgain(t *testing.T) {
	for name, come := range map[string]func(*court){
		"another one comes":       func(c *court) { c.leave("one"); c.come("two", takeAll) },
		"it comes with a new one": func(c *court) { c.leave("one"); c.jury.build["one"] = "2"; c.come("one", takeAll) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(t, "a/a1", "b/b1")
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
			require.Equal(t, "/a1", c.paths("one")["a"])
			c.wait(time.Minute)
			require.Equal(t, []string{"a"}, c.accused())
			come(c)
			c.wait(2 * goneFor)
			require.Empty(t, c.accused())
			for node := range c.jury.has {
				require.Equal(t, map[string]string{"a": "/bad", "b": "/b1"}, c.paths(node))
			}
		})
	}
}

// TestAnEnvoyThatIsStartedAnewIsAskedAgain for it may have been mended; one that was not loses nothing by it, and is asked the more seldom.
func TestAnEnvoyThatIsStartedAnewIsAskedAgain(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	c.wait(time.Minute)
	asked := 0
	start := func(rejects func(*api.Resource) bool) {
		c.leave("one")
		c.now = c.now.Add(turnEvery)
		c.jury.anew["one"] = c.now
		c.come("one", rejects)
	}
	for _, times := range []int{0, 1} {
		asked = 0
		start(func(r *api.Resource) bool {
			if bad := isBad(r); bad {
				asked++
				return true
			}
			return false
		})
		require.Equal(t, map[string]string{"a": "/a1", "b": "/b1"}, c.paths("one"), "at once, without being asked")
		require.Zero(t, asked)
		c.wait(goneFor<<times - 5*turnEvery)
		require.Zero(t, asked)
		c.wait(8 * turnEvery)
		require.Equal(t, 1, asked)
		require.Equal(t, map[string]string{"a": "/a1", "b": "/b1"}, c.paths("one"))
		c.wait(time.Hour)
		require.Equal(t, 1, asked)
		require.Equal(t, []string{"a"}, c.accused())
	}
	start(takeAll)
	c.wait(goneFor<<2 + 3*turnEvery)
	require.Equal(t, map[string]string{"a": "/bad", "b": "/b1"}, c.paths("one"))
	require.Empty(t, c.board.all())
}

func TestANewTunnelThatOneEnvoyRejectedIsServedOnceOthersAreThere(t *testing.T) {
	for name, come := range map[string]func(*court){
		"beside it":    func(c *court) { c.come("two", takeAll); c.come("three", takeAll) },
		"in its place": func(c *court) { c.leave("one"); c.come("two", takeAll); c.wait(2 * goneFor) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(t, "a/a1")
			c.jury.rejects["one"] = func(r *api.Resource) bool { return r.Name == "tunnel/edge/new" }
			c.change(func(cfg *snapshot.Config) { c.routeToNew(cfg, "b", "/b1") })
			require.Equal(t, "500", c.paths("one")["b"])
			come(c)
			require.Equal(t, map[string]string{"a": "/a1", "b": "/b1"}, c.paths("two"))
		})
	}
}

// TestAnEnvoyThatComesAndGoesChangesTheOthersLessAndLess where they are so few that it has a say.
func TestAnEnvoyThatComesAndGoesChangesTheOthersLessAndLess(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.jury.add("two", takeAll)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	require.Equal(t, "/a1", c.paths("two")["a"])
	tried := 0
	for range 100 {
		c.leave("one")
		c.wait(12 * time.Second)
		if c.paths("two")["a"] == "/bad" {
			tried++
		}
		c.come("one", isBad)
		require.Equal(t, "/a1", c.paths("two")["a"])
	}
	require.Equal(t, 2, tried, "after 5 s and after 10 s of absence, then not within 20 s")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a2") })
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	require.Equal(t, "/a2", c.paths("two")["a"])
	c.leave("one")
	c.wait(2 * goneFor)
	require.Equal(t, "/bad", c.paths("two")["a"], "another change has all its chances")
}

func TestWhatWasRejectedBeforeARestartWaitsForEnvoysToComeBack(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.jury.add("two", takeAll)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	c.leave("one")
	c.restart(nil, nothing)
	c.wait(goneAfterRestart / 2)
	require.Equal(t, "/a1", c.paths("two")["a"])
	c.wait(goneAfterRestart)
	require.Equal(t, "/bad", c.paths("two")["a"])
}
