package holdback

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// back is a second Gateway, with the routes of the first.
const back = "edge/back"

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "edge", Name: name}
}

// newTwoGateways has a Gateway edge/back beside edge/front, with an Envoy "two" that takes everything. Every route belongs to both.
func newTwoGateways(t *testing.T, routes ...string) *court {
	t.Helper()
	c := newCourt(t)
	c.jury.add("two", func(*api.Resource) bool { return false })
	c.jury.gateway["two"] = back
	both := c.state.Config.HTTPRoutes[named("hello")].DeepCopy()
	both.Spec.ParentRefs = append(both.Spec.ParentRefs, gatewayv1.ParentReference{Name: "back"})
	c.state.Config.HTTPRoutes[named("hello")] = both
	c.change(func(cfg *snapshot.Config) {
		gateway := cfg.Gateways[named("front")].DeepCopy()
		gateway.Name = "back"
		cfg.Gateways[named("back")] = gateway
		cfg.HTTPRoutes[named("hello")] = both
		for _, route := range routes {
			name, path, _ := strings.Cut(route, "/")
			c.route(cfg, name, "/"+path)
		}
	})
	return c
}

// tunnel changes a tunnel.
func (c *court) tunnel(name string, change func(*v1alpha1.TunnelSpec)) {
	c.Helper()
	c.change(func(cfg *snapshot.Config) {
		tunnel := cfg.Tunnels[named(name)].DeepCopy()
		tunnel.Generation++
		change(&tunnel.Spec)
		cfg.Tunnels[named(name)] = tunnel
	})
}

// idle is the idle timeout of the first route of an Envoy, that of its tunnels.
func (c *court) idle(node string) string {
	for _, resource := range c.jury.has[node] {
		if config, ok := resource.Message.(*routev3.RouteConfiguration); ok {
			return config.GetVirtualHosts()[0].GetRoutes()[0].GetRoute().GetIdleTimeout().AsDuration().String()
		}
	}
	return ""
}

func setIdle(idle gatewayv1.Duration) func(*v1alpha1.TunnelSpec) {
	return func(spec *v1alpha1.TunnelSpec) { spec.Timeout = &v1alpha1.Timeout{Idle: &idle} }
}

// rejectsIdle rejects routes and no clusters.
func rejectsIdle(idle string) func(*api.Resource) bool {
	return func(r *api.Resource) bool {
		config, ok := r.Message.(*routev3.RouteConfiguration)
		return ok && strings.Contains(config.String(), "idle_timeout:{seconds:"+idle+"}")
	}
}

func TestRouteThatOneGatewayRejectsIsHeldBackThereAlone(t *testing.T) {
	c := newTwoGateways(t, "a/a1", "b/b1")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad"); c.route(cfg, "b", "/b2") })
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b2"}, c.paths("one"))
	require.Equal(t, map[string]string{"a": "/bad", "b": "/b2"}, c.paths("two"))
	require.Equal(t, []string{"a"}, c.accused())
}

func TestTunnelThatSpoilsARouteIsHeldBackAndTheOthersChange(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.jury.rejects["one"] = rejectsIdle("7")
	c.tunnel("hello", setIdle("1s"))
	c.tunnel("plain", setIdle("1s"))
	key := api.ResourceKey{Type: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", Name: "tunnel/edge/plain"}
	c.tunnel("plain", func(spec *v1alpha1.TunnelSpec) { spec.Addresses[0].Address = "192.0.2.8" })
	accepted := c.jury.served[key]
	c.change(func(cfg *snapshot.Config) {
		tunnel := cfg.Tunnels[named("plain")].DeepCopy()
		setIdle("7s")(&tunnel.Spec)
		tunnel.Spec.Addresses[0].Address = "192.0.2.9"
		cfg.Tunnels[named("plain")] = tunnel
		c.route(cfg, "a", "/a2")
	})
	require.Equal(t, map[string]string{"a": "/a2"}, c.paths("one"))
	require.Equal(t, []string{"plain"}, c.accused())
	require.Contains(t, c.board.all()[0].String(), "Tunnel edge/plain: an Envoy of the Gateway edge/front (one) rejects gateway/edge/front/8080 with it")
	require.True(t, accepted.Equal(c.jury.served[key]), "all of it is as it was accepted last, which is not the form in which the routes were made last")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a3") })
	require.Equal(t, map[string]string{"a": "/a3"}, c.paths("one"))
	c.tunnel("plain", setIdle("2s"))
	require.Equal(t, "2s", c.idle("one"))
	require.Empty(t, c.board.all())
	require.False(t, accepted.Equal(c.jury.served[key]))
}

func TestTunnelThatSpoilsARouteOfOneGatewayChangesInTheOther(t *testing.T) {
	c := newTwoGateways(t, "a/a1")
	for _, name := range []string{"hello", "plain"} {
		c.tunnel(name, setIdle("1s"))
	}
	c.jury.rejects["one"] = rejectsIdle("7")
	for _, name := range []string{"hello", "plain"} {
		c.tunnel(name, setIdle("7s"))
	}
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a2") })
	require.Equal(t, "1s 7s", c.idle("one")+" "+c.idle("two"))
	require.Equal(t, map[string]string{"a": "/a2"}, c.paths("one"))
	require.Equal(t, []string{"hello", "plain"}, c.accused())
	require.Contains(t, c.board.all()[0].Message, "they keep its last accepted form, and other Gateways have this one")
	require.Same(t, c.cfg.Tunnels[named("plain")], c.pipeline.cfg.Tunnels[named("plain")])
	// Once the other one rejects it too, all of the tunnel is as it was.
	c.jury.rejects["two"] = rejectsIdle("9")
	c.jury.rejects["one"] = rejectsIdle("9")
	c.tunnel("plain", setIdle("8s"))
	c.tunnel("plain", setIdle("9s"))
	require.Contains(t, c.board.all()[0].String()+c.board.all()[1].String(), "its last accepted form stays in force")
	_, everywhere := c.pipeline.cfg.Holds[snapshot.HoldKey{Part: tunnelPartOf("plain")}]
	require.True(t, everywhere)
}

func tunnelPartOf(name string) api.Part {
	return api.Part{ObjectRef: api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindTunnel, Namespace: "edge", Name: name}}
}

// TestClusterThatOneGatewayRejectsIsWhatTheOthersGet and the one that rejects it keeps what it has.
func TestClusterThatOneGatewayRejectsIsWhatTheOthersGet(t *testing.T) {
	c := newTwoGateways(t, "a/a1")
	key := api.ResourceKey{Type: "type.googleapis.com/envoy.config.cluster.v3.Cluster", Name: "tunnel/edge/plain"}
	had := c.jury.has["one"][key]
	c.jury.rejects["one"] = func(r *api.Resource) bool { return r.ResourceKey == key }
	c.tunnel("plain", func(spec *v1alpha1.TunnelSpec) {
		spec.Timeout = &v1alpha1.Timeout{Connect: new(gatewayv1.Duration("7s"))}
	})
	require.Same(t, had, c.jury.has["one"][key])
	require.True(t, c.jury.served[key].Equal(c.jury.has["two"][key]))
	require.False(t, had.Equal(c.jury.served[key]))
	require.NotEmpty(t, c.accused())
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a2") })
	require.Equal(t, "/a2", c.paths("one")["a"])
	require.LessOrEqual(t, c.judged, 1)
	// A Gateway that comes to it later is not held to what the first one said.
	require.False(t, had.Equal(c.jury.served[key]))
}

// routeToNew writes an HTTPRoute, and the Tunnel new that it leads to.
func (c *court) routeToNew(cfg *snapshot.Config, name, path string) {
	tunnel := cfg.Tunnels[named("plain")].DeepCopy()
	tunnel.Name = "new"
	cfg.Tunnels[named("new")] = tunnel
	c.route(cfg, name, path)
	refs := cfg.HTTPRoutes[named(name)].Spec.Rules[0].BackendRefs
	refs = append(refs[:0:0], refs[0])
	refs[0].Name = "new"
	cfg.HTTPRoutes[named(name)].Spec.Rules[0].BackendRefs = refs
}

func TestTunnelThatIsNewAndRejectedIsAnswered500AndTheRoutesGoOn(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.jury.rejects["one"] = func(r *api.Resource) bool { return strings.HasSuffix(r.Type, "Cluster") && r.Name == "tunnel/edge/new" }
	c.change(func(cfg *snapshot.Config) {
		c.route(cfg, "a", "/a2")
		c.routeToNew(cfg, "b", "/b1")
	})
	require.Equal(t, map[string]string{"a": "/a2", "b": "500"}, c.paths("one"))
	require.Equal(t, []string{"b", "new"}, func() (names []string) {
		for _, problem := range c.board.all() {
			names = append(names, problem.Object.Name)
		}
		return names
	}())
	require.Contains(t, c.board.all()[1].Message, "the routes to it answer 500, for no accepted form of it is known")
	c.jury.rejects["one"] = func(*api.Resource) bool { return false }
	c.tunnel("new", setIdle("1s"))
	require.Equal(t, map[string]string{"a": "/a2", "b": "/b1"}, c.paths("one"))
	require.Empty(t, c.board.all())
}

// TestEndpointsThatAreRejectedAreToldOfTheirTunnelAndFreezeNothing for they are a resource of their own.
func TestEndpointsThatAreRejectedAreToldOfTheirTunnelAndFreezeNothing(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.jury.rejects["one"] = func(r *api.Resource) bool {
		return strings.HasSuffix(r.Type, "ClusterLoadAssignment") && strings.Contains(string(r.Wire), "192.0.2.66")
	}
	c.jury.message = "malformed IP address: 192.0.2.66. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"
	c.change(func(cfg *snapshot.Config) {
		tunnel := cfg.Tunnels[named("plain")].DeepCopy()
		tunnel.Spec.Addresses = append(tunnel.Spec.Addresses, v1alpha1.TunnelAddress{Address: "192.0.2.66", Port: 80})
		cfg.Tunnels[named("plain")] = tunnel
		c.route(cfg, "a", "/a2")
	})
	require.Equal(t, map[string]string{"a": "/a2"}, c.paths("one"))
	require.Empty(t, c.held())
	require.Zero(t, c.judged)
	require.Len(t, c.board.all(), 1)
	require.Contains(t, c.board.all()[0].String(), "Tunnel edge/plain spec.addresses[1]: an Envoy of the Gateway edge/front (one) rejects tunnel/edge/plain: malformed")
	c.tunnel("plain", func(spec *v1alpha1.TunnelSpec) { spec.Addresses = spec.Addresses[:1] })
	require.Empty(t, c.board.all())
}

// TestWhimsicalEnvoysCostNoOtherGatewayAnything and podway no more than so many translations, though they say now this and now that.
func TestWhimsicalEnvoysCostNoOtherGatewayAnything(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			c := newTwoGateways(t, "a/a1", "b/b1", "c/c1", "d/d1")
			c.jury.whims = func(node string) {
				if node != "two" && random.IntN(3) == 0 {
					c.jury.refused[node] = map[api.ResourceKey]*api.Resource{}
				}
				if node != "two" && random.IntN(5) == 0 {
					c.jury.has[node] = map[api.ResourceKey]*api.Resource{}
				}
			}
			for i := range 3 {
				c.jury.add(fmt.Sprintf("whim-%d", i), func(*api.Resource) bool { return random.IntN(2) == 0 })
			}
			c.jury.rejects["one"] = func(*api.Resource) bool { return random.IntN(2) == 0 }
			turns := 0
			for step := range 300 {
				if step%50 == 0 {
					path := fmt.Sprintf("/step%d", step)
					c.apply(func(cfg *snapshot.Config) { c.route(cfg, "a", path) })
				}
				for range 20 {
					c.now = c.now.Add(askEvery)
					if c.pipeline.back.Judge(c.now) {
						turns++
						c.again()
					}
				}
				require.Equal(t, fmt.Sprintf("/step%d", step/50*50), c.paths("two")["a"])
			}
			require.LessOrEqual(t, turns, maxTurns+300*20/50+2)
			for key := range c.pipeline.cfg.Holds {
				require.Equal(t, front, api.GatewayOf(key.View), "%v", key)
			}
			require.LessOrEqual(t, len(c.pipeline.back.byView[front].trials), maxTrials)
		})
	}
}

// TestEnvoyThatTakesNothingCostsAFewTrialsAndNoMore though it says so whenever it is sent what it refused.
func TestEnvoyThatTakesNothingCostsAFewTrialsAndNoMore(t *testing.T) {
	for name, fresh := range map[string]bool{"fresh": true, "from before": false} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(t, "a/a1", "b/b1", "c/c1")
			if fresh {
				c.jury.has["one"] = map[api.ResourceKey]*api.Resource{}
			} else {
				c.jury.forget()
				c.pipeline = newPipeline(c.jury, c.board, c.pipeline.rejected, c.pipeline.log)
			}
			c.jury.rejects["one"] = func(r *api.Resource) bool { return strings.HasSuffix(r.Type, "RouteConfiguration") }
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a2") })
			require.Less(t, c.judged, 20)
			require.Empty(t, c.held())
			require.Len(t, c.board.all(), 1, "the rejection itself")
			c.settle()
			require.Zero(t, c.judged)
		})
	}
}

func TestTwoBadRoutesAreFoundWithoutKnowingWhatWasAccepted(t *testing.T) {
	routes := []string{"a/a1", "b/bad", "c/c1", "d/bad2", "e/e1"}
	good := map[string]string{"a": "/a1", "c": "/c1", "e": "/e1"}
	t.Run("by Envoys that have nothing", func(t *testing.T) {
		c := newCourt(t, routes...)
		require.Equal(t, good, c.paths("one"))
		require.Equal(t, []string{"b", "d"}, c.accused())
	})
	for name, say := range map[string]func(path string) string{
		"by what Envoys name":                func(path string) string { return "no such thing: " + path },
		"by that Envoys tell of another one": func(path string) string { return fmt.Sprintf("fault %d", len(path)) },
	} {
		t.Run(name, func(t *testing.T) { twoBadAfterARestart(t, routes, good, say) })
	}
}

func twoBadAfterARestart(t *testing.T, routes []string, good map[string]string, say func(path string) string) {
	t.Helper()
	c := newCourt(t)
	c.jury.forget()
	c.jury.say = func(r *api.Resource) string {
		for _, host := range r.Message.(*routev3.RouteConfiguration).GetVirtualHosts() {
			for _, route := range host.GetRoutes() {
				if path := route.GetMatch().GetPathSeparatedPrefix(); strings.HasPrefix(path, "/bad") {
					return say(path)
				}
			}
		}
		return "no good"
	}
	c.pipeline = newPipeline(c.jury, c.board, c.pipeline.rejected, c.pipeline.log)
	c.change(func(cfg *snapshot.Config) {
		for _, route := range routes {
			name, path, _ := strings.Cut(route, "/")
			c.route(cfg, name, "/"+path)
		}
	})
	require.Equal(t, good, c.paths("one"))
	require.Equal(t, []string{"b", "d"}, c.accused())
	require.Less(t, c.judged, 20)
}

// TestEnvoyThatTakesEverythingLosesNothingToOneThatIsNew and rejects what nobody knows it by.
func TestEnvoyThatTakesEverythingLosesNothingToOneThatIsNew(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1", "c/c1")
	c.jury.rejects["one"] = func(*api.Resource) bool { return false }
	c.pipeline.back.byView[front].before = map[api.ResourceKey][]api.Source{}
	want := c.paths("one")
	c.jury.add("newer", func(r *api.Resource) bool { return strings.Contains(fmt.Sprint(r.Message), "/b1") })
	c.jury.watch = func() { require.Equal(t, want, c.paths("one")) }
	c.again()
	c.settle()
	require.Equal(t, []string{"b"}, c.accused())
	require.Equal(t, map[string]string{"a": "/a1", "c": "/c1"}, c.paths("newer"), "it has a view of its own, or it would have no routes at all")
}

func TestHeldBackObjectThatGoesOrIsBadInAnotherWay(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	first := c.jury.back[front][0]
	require.Equal(t, []string{"one"}, first.Nodes)
	require.Equal(t, "HTTPRoute edge/a", first.Object.String())
	require.Equal(t, "no good", first.Message)
	require.NotEmpty(t, first.Version)
	require.False(t, first.At.IsZero())
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/badder"); c.route(cfg, "b", "/bad") })
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b1"}, c.paths("one"))
	require.Equal(t, []string{"a", "b"}, c.accused())
	require.Len(t, c.jury.back[front], 2)
	c.change(func(cfg *snapshot.Config) { delete(cfg.HTTPRoutes, named("a")) })
	require.Equal(t, map[string]string{"b": "/b1"}, c.paths("one"))
	require.Equal(t, []string{"b"}, c.accused())
	require.Len(t, c.jury.back[front], 1)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b2") })
	require.Empty(t, c.board.all())
	require.Empty(t, c.jury.back[front])
}

func TestNodesOfAHeldBackObjectAreNamedAndCounted(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	for i := range 7 {
		c.jury.add(fmt.Sprintf("envoy-%d", i), isBad)
	}
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b2") })
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	require.Contains(t, c.board.all()[0].Message,
		"8 Envoys of the Gateway edge/front (envoy-0, envoy-1, envoy-2, envoy-3, envoy-4 and 3 more) reject gateway/edge/front/8080 with it")
	require.Len(t, c.jury.back[front][0].Nodes, 8)
}

// TestGatewayThatGoesTakesWhatItHeldBackWithIt so that nothing grows with time.
func TestGatewayThatGoesTakesWhatItHeldBackWithIt(t *testing.T) {
	c := newTwoGateways(t, "a/a1")
	c.jury.rejects["two"] = isBad
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	require.Len(t, c.accused(), 2)
	delete(c.jury.has, "two")
	c.change(func(cfg *snapshot.Config) { delete(cfg.Gateways, named("back")) })
	require.Len(t, c.accused(), 1)
	require.NotContains(t, c.pipeline.back.byView, back)
	require.Empty(t, c.pipeline.back.told)
	for key := range c.pipeline.cfg.Holds {
		require.NotEqual(t, back, key.View)
	}
}

// TestOnlyWhatRoutesSayOfATunnelMakesItASuspect so that one whose Pods change beside a bad route is left alone.
func TestOnlyWhatRoutesSayOfATunnelMakesItASuspect(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.jury.watch = func() {
		for key := range c.pipeline.cfg.Holds {
			require.Equal(t, "HTTPRoute", key.Kind)
		}
	}
	c.change(func(cfg *snapshot.Config) {
		tunnel := cfg.Tunnels[named("plain")].DeepCopy()
		tunnel.Spec.Addresses[0].Address = "192.0.2.9"
		cfg.Tunnels[named("plain")] = tunnel
		c.route(cfg, "a", "/bad")
	})
	require.Equal(t, []string{"a"}, c.accused())
}

// TestTunnelThatOtherRoutesLeadToIsNoSuspect of a route on another port that leads to it for the first time.
func TestTunnelThatOtherRoutesLeadToIsNoSuspect(t *testing.T) {
	c := newCourt(t)
	section := func(name gatewayv1.SectionName) []gatewayv1.ParentReference {
		return []gatewayv1.ParentReference{{Name: "front", SectionName: &name}}
	}
	c.change(func(cfg *snapshot.Config) {
		gateway := cfg.Gateways[named("front")].DeepCopy()
		gateway.Spec.Listeners = append(gateway.Spec.Listeners, gatewayv1.Listener{Name: "other", Port: 9090, Protocol: gatewayv1.HTTPProtocolType})
		cfg.Gateways[named("front")] = gateway
		hello := cfg.HTTPRoutes[named("hello")].DeepCopy()
		hello.Spec.ParentRefs = section("http")
		cfg.HTTPRoutes[named("hello")] = hello
	})
	c.jury.watch = func() {
		for key, resource := range c.jury.served {
			if config, ok := resource.Message.(*routev3.RouteConfiguration); ok && strings.HasSuffix(key.Name, "/8080") {
				require.Zero(t, config.GetVirtualHosts()[0].GetRoutes()[0].GetDirectResponse().GetStatus())
			}
		}
	}
	c.change(func(cfg *snapshot.Config) {
		c.route(cfg, "a", "/bad")
		cfg.HTTPRoutes[named("a")].Spec.ParentRefs = section("other")
	})
	require.Equal(t, []string{"a"}, c.accused())
}

func TestAGatewayTurnsSoOftenAndNoMore(t *testing.T) {
	h := newHoldback(front, &Config{Logger: slog.New(slog.DiscardHandler)})
	now := time.Now()
	turns := func() (count int) {
		for h.mayTurn(now) {
			h.turns--
			count++
		}
		return count
	}
	require.Equal(t, maxTurns, turns())
	now = now.Add(turnEvery - time.Nanosecond)
	require.Zero(t, turns())
	now = now.Add(3 * turnEvery)
	require.Equal(t, 3, turns())
	now = now.Add(time.Hour)
	require.Equal(t, maxTurns, turns())
}
