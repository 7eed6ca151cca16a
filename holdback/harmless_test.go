package holdback

import (
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// leadTo has routes lead to one Tunnel each, ROUTE and TUNNEL in turn.
func leadTo(cfg *snapshot.Config, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		route := cfg.HTTPRoutes[named(pairs[i])].DeepCopy()
		route.Spec.Rules[0].BackendRefs = route.Spec.Rules[0].BackendRefs[:1]
		route.Spec.Rules[0].BackendRefs[0].Name = gatewayv1.ObjectName(pairs[i+1])
		cfg.HTTPRoutes[named(pairs[i])] = route
	}
}

// rename gives a Tunnel another name.
func rename(cfg *snapshot.Config, from, to string) {
	tunnel := cfg.Tunnels[named(from)].DeepCopy()
	tunnel.Name = to
	delete(cfg.Tunnels, named(from))
	cfg.Tunnels[named(to)] = tunnel
}

// servesAlways fails once a route is not there, or answers 500.
func (c *court) servesAlways(node string, routes ...string) {
	c.jury.watch = func() {
		paths := c.paths(node)
		for _, route := range routes {
			require.NotContains(c, []string{"", "500"}, paths[route], route)
		}
	}
}

// blames is how Envoy says what it does not like.
func blames(*api.Resource) string {
	return "regex '/bad' RE2 program size of 13005 > max program size of 10000"
}

func TestRouteWhoseTunnelHasGoneIsNotTakenBackForAnotherThatIsBad(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.change(func(cfg *snapshot.Config) { leadTo(cfg, "hello", "hello", "a", "plain") })
	c.renamesBesideABadRoute()
}

func TestRouteToANewTunnelIsNotLetInWithoutIt(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.change(func(cfg *snapshot.Config) { leadTo(cfg, "hello", "hello", "a", "hello") })
	c.renamesBesideABadRoute()
}

// renamesBesideABadRoute has the route a lead to a Tunnel that is new, in the place of another one, with a bad route b. a must be served all the time.
func (c *court) renamesBesideABadRoute() {
	c.Helper()
	c.servesAlways("one", "a")
	c.change(func(cfg *snapshot.Config) {
		rename(cfg, "plain", "renamed")
		c.route(cfg, "a", "/a2")
		c.route(cfg, "b", "/bad")
		leadTo(cfg, "a", "renamed", "b", "hello")
	})
	require.Equal(c, map[string]string{"a": "/a2"}, c.paths("one"))
	require.Equal(c, []string{"b"}, c.accused())
}

func TestRouteThatTheMessagePointsAtIsHeldBackFirst(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1", "c/c1")
	c.change(func(cfg *snapshot.Config) { leadTo(cfg, "hello", "hello", "a", "plain", "b", "plain", "c", "plain") })
	c.jury.say = blames
	c.servesAlways("one", "a", "c")
	c.change(func(cfg *snapshot.Config) {
		rename(cfg, "plain", "renamed") // nothing can be as it was
		c.route(cfg, "a", "/a2")
		c.route(cfg, "b", "/bad")
		c.route(cfg, "c", "/c2")
		leadTo(cfg, "a", "renamed", "b", "renamed", "c", "renamed")
	})
	require.Equal(t, map[string]string{"a": "/a2", "b": "500", "c": "/c2"}, c.paths("one"))
	require.Equal(t, []string{"b"}, c.accused())
	require.LessOrEqual(t, c.judged, 2)
}

func TestEnvoyThatStartsDoesNotServeWithoutTheGoodRoutes(t *testing.T) {
	j := &jury{say: blames}
	j.watch = func() {
		for _, resource := range j.has["one"] {
			if config, ok := resource.Message.(*routev3.RouteConfiguration); ok {
				require.Contains(t, prototext.Format(config), `"edge/a/`)
			}
		}
	}
	c := newCourtOf(t, j, "a/a1", "b/bad", "c/c1")
	require.Equal(t, map[string]string{"a": "/a1", "c": "/c1"}, c.paths("one"))
	require.Equal(t, []string{"b"}, c.accused())
}
