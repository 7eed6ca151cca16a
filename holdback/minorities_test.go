package holdback

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// newMinority is a Gateway of which one of several Envoys, "one", rejects the route a, and has it as it was.
func newMinority(t *testing.T, others int) *court {
	t.Helper()
	c := newCourt(t, "a/a1", "b/b1")
	for i := range others {
		c.jury.add(fmt.Sprintf("other-%d", i), takeAll)
	}
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b2") })
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	c.wants("/a1", "/b2", "one")
	return c
}

// wants says which paths Envoys have.
func (c *court) wants(a, b string, nodes ...string) {
	c.Helper()
	for _, node := range nodes {
		require.Equal(c, map[string]string{"a": a, "b": b}, c.paths(node), node)
	}
}

func TestAMinorityGoesOnChangingWithoutWhatItRejects(t *testing.T) {
	c := newMinority(t, 8)
	c.jury.watch = func() { require.Equal(t, "/bad", c.paths("other-0")["a"]) }
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b3") })
	c.wants("/a1", "/b3", "one")
	c.wants("/bad", "/b3", "other-0", "other-7")
	require.LessOrEqual(t, c.judged, 1)
	require.Equal(t, []string{"a"}, c.accused())
	require.Equal(t, "an Envoy of the Gateway edge/front (one) rejects gateway/edge/front/8080 with it: no good; its last accepted form stays in force, for these "+
		"Envoys alone", c.board.all()[0].Message)
	require.Equal(t, "change what the message names, or see what is different about these of the Gateway's Envoys", c.board.all()[0].Remedy)
	require.Len(t, c.jury.back[api.Minority(front)], 1)
	require.Equal(t, []string{"one"}, c.jury.back[api.Minority(front)][0].Nodes)
	require.Equal(t, []string{front}, c.gateways())
	c.jury.watch = nil

	// Once the route is good, all have the same, and there is no minority any more.
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a4") })
	c.wants("/a4", "/b3", "one", "other-0", "other-7")
	require.Empty(t, c.board.all())
	require.Empty(t, c.pipeline.back.minorities)
	require.Empty(t, c.pipeline.cfg.Minorities)
	require.Len(t, c.jury.byView, 1)
	require.Empty(t, c.jury.minorities)
}

// gateways are those that are said to be served.
func (c *court) gateways() (names []string) {
	for _, gateway := range c.pipeline.plan.Gateways() {
		names = append(names, gateway.String())
	}
	return names
}

func TestAnEnvoyThatRejectsTheSameLaterJoinsTheMinority(t *testing.T) {
	c := newMinority(t, 8)
	c.come("late", isBad)
	c.wants("/a1", "/b2", "one", "late")
	require.Zero(t, c.judged, "nothing has to be made for it")
	require.Contains(t, c.board.all()[0].Message, "2 Envoys of the Gateway edge/front (late, one) reject")
	require.Equal(t, []string{"late", "one"}, c.jury.back[api.Minority(front)][0].Nodes)
	require.Len(t, c.board.all(), 1)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b3") })
	c.wants("/a1", "/b3", "one", "late")
}

func TestAnEnvoyOfAnotherVersionIsNotOfTheMinority(t *testing.T) {
	c := newMinority(t, 2)
	c.leave("one")
	c.come("one", takeAll)
	c.wants("/a1", "/b2", "one")
	c.leave("one")
	c.jury.build["one"] = "1.41.0"
	c.come("one", takeAll)
	c.wants("/bad", "/b2", "one")
}

func TestAMinorityThatHasGoneIsForgotten(t *testing.T) {
	c := newMinority(t, 2)
	c.leave("one")
	c.wait(2 * memberGone)
	require.Empty(t, c.pipeline.back.minorities)
	require.Len(t, c.jury.byView, 1)
	c.come("one", isBad)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b3") })
	require.Equal(t, "/b3", c.paths("one")["b"])
	require.NotEqual(t, "/bad", c.paths("one")["a"])
	c.wants("/bad", "/b3", "other-0")
}

func TestAMinorityGoesOnAfterARestart(t *testing.T) {
	c := newMinority(t, 2)
	problem := c.board.all()[0].String()
	_, rejections := c.restart(nil, func(cfg *snapshot.Config) { c.route(cfg, "b", "/b3") })
	require.Zero(t, *rejections)
	c.wants("/a1", "/b3", "one")
	c.wants("/bad", "/b3", "other-0")
	require.Equal(t, problem, c.board.all()[0].String())
}

func TestAMinorityWithinAMinority(t *testing.T) {
	c := newMinority(t, 8)
	c.jury.add("two", isBad)
	c.jury.add("three", func(r *api.Resource) bool {
		return isBad(r) || r.Message != nil && strings.Contains(prototext.Format(r.Message), "/worse")
	})
	c.again()
	c.settle()
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/worse") })
	c.wants("/a1", "/worse", "one", "two")
	c.wants("/a1", "/b2", "three")
	c.wants("/bad", "/worse", "other-0")
	few := api.Minority(front)
	require.Len(t, c.jury.byView, 3)
	_, rejections := c.restart(nil, nothing)
	require.Zero(t, *rejections)
	c.wait(2 * memberGone)
	c.wants("/a1", "/b2", "three")
	require.Contains(t, c.pipeline.back.minorities[few].members, api.Member{Node: "three"})
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b9"); c.route(cfg, "a", "/a9") })
	c.wants("/a9", "/b9", "one", "two", "three", "other-0")
	require.Len(t, c.jury.byView, 1)
}

func TestAGatewayThatGoesTakesItsMinorityWithIt(t *testing.T) {
	c := newMinority(t, 2)
	gateway := c.cfg.Gateways[named("front")]
	c.change(func(cfg *snapshot.Config) { delete(cfg.Gateways, named("front")) })
	require.Empty(t, c.pipeline.back.minorities)
	require.Empty(t, c.jury.byView)
	c.change(func(cfg *snapshot.Config) { cfg.Gateways[named("front")] = gateway })
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b3") })
	require.Equal(t, "/b3", c.paths("one")["b"])
	c.wants("/bad", "/b3", "other-0")
}

func TestMinoritiesAreBounded(t *testing.T) {
	c := newMinority(t, 2)
	view := front
	for range maxMinorities {
		view = api.Minority(view)
	}
	g := newHoldback(view, &c.pipeline.back.config)
	g.outvoted = []dissent{{member: api.Member{Node: "one"}}}
	require.False(t, c.pipeline.back.part(g, time.Now()), "one on its own keeps what it has")
	few := c.pipeline.back.minorities[api.Minority(front)]
	for i := range maxMembers + 10 {
		g := c.pipeline.back.byView[front]
		g.outvoted = []dissent{{member: api.Member{Node: fmt.Sprint(i)}}}
		require.False(t, c.pipeline.back.part(g, time.Now()))
	}
	require.Len(t, few.members, maxMembers)
}

// rejects is an Envoy that rejects what has a word in it.
func rejects(word string) func(*api.Resource) bool {
	return func(r *api.Resource) bool {
		return r.Message != nil && strings.Contains(prototext.Format(r.Message), word)
	}
}

// TestEnvoysOfAMinorityThatTakeNoFormInCommonHaveViewsOfTheirOwn, or one would keep all rules as they are for the other.
func TestEnvoysOfAMinorityThatTakeNoFormInCommonHaveViewsOfTheirOwn(t *testing.T) {
	c := newMinority(t, 8)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/bad2") })
	c.come("two", rejects("/worse"))
	c.wants("/bad", "/bad2", "two")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/worse") })
	c.wants("/worse", "/bad2", "other-0")
	c.wants("/worse", "/b2", "one")
	c.wants("/bad", "/bad2", "two")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b3") })
	c.wants("/worse", "/b3", "one", "other-0")
	c.wants("/bad", "/b3", "two")
	require.Equal(t, []string{"a"}, c.accused())
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a4") })
	c.wants("/a4", "/b3", "one", "two", "other-0")
	require.Empty(t, c.pipeline.back.minorities)
}

func TestAMinorityEndsOnceThoseThatRejectWhatCannotBeHeldBackAreGone(t *testing.T) {
	c := newMinority(t, 8)
	c.come("two", isBad)
	c.jury.forget()
	c.jury.rejects["one"] = rejects("/worse")
	few := c.pipeline.back.byView[api.Minority(front)]
	c.apply(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a4"); c.route(cfg, "b", "/worse") })
	clear(few.before)
	c.settle()
	require.Empty(t, few.held)
	require.True(t, few.trials[0].stuck)
	c.wait(10 * verdictGrace)
	require.NotEmpty(t, c.pipeline.back.minorities)
	c.leave("one")
	c.wait(10 * verdictGrace)
	require.Empty(t, c.pipeline.back.minorities)
	c.wants("/a4", "/worse", "two", "other-0")
}

func TestWhatAnEnvoyRejectedOnItsWayToAMinorityIsForgotten(t *testing.T) {
	c := newMinority(t, 8)
	c.change(func(cfg *snapshot.Config) {
		gateway := cfg.Gateways[named("front")].DeepCopy()
		gateway.Spec.Listeners = append(gateway.Spec.Listeners, gatewayv1.Listener{Name: "more", Port: 9090, Protocol: gatewayv1.HTTPProtocolType})
		cfg.Gateways[named("front")] = gateway
	})
	c.come("late", isBad)
	c.wants("/a1", "/b2", "one", "late")
	require.Equal(t, []string{"a"}, c.accused(), "two of its resources were rejected")
	key := api.ResourceKey{Type: resource.RouteType, Name: "gateway/edge/front/9090"}
	c.jury.tell(api.Rejection{Node: "late", View: api.Minority(front), Key: key, Version: "of the others", Outdated: true})
	require.Equal(t, []string{"a"}, c.accused())
}

// TestASearchThatFindsNobodyInAMinorityLetsAllInAgain and says so, or others would be searched by what is served no more.
func TestASearchThatFindsNobodyInAMinorityLetsAllInAgain(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	a, b := routePartOf("a"), routePartOf("b")
	for name, v := range map[string]verdict{
		"it is not known what they had": {rejected: true, Answers: api.Answers{Version: "2"}},
		"they take neither form of a": {rejected: true, Answers: api.Answers{Version: "2", Had: &api.Resource{Sources: []api.Source{
			{Part: a, Form: c.state.Config.HTTPRoutes[named("hello")]}, {Part: b, Form: c.cfg.HTTPRoutes[named("b")]},
		}}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newHoldback(api.Minority(front), &c.pipeline.back.config)
			g.cfg = c.cfg
			key := api.ResourceKey{Type: resource.RouteType, Name: "gateway/edge/front/8080"}
			forms := []api.Source{{Part: a, Form: c.cfg.HTTPRoutes[named("a")]}, {Part: b, Form: c.cfg.HTTPRoutes[named("b")]}}
			search := &trial{key: key, resource: &api.Resource{ResourceKey: key, Sources: forms}, begun: true, first: "1", groups: [][]api.Part{{a}, {b}}}
			for _, source := range forms {
				g.holdBack(source.Part, snapshot.Hold{Form: source.Form})
			}
			require.True(t, g.decide(search, v, time.Now()))
			require.True(t, search.stuck)
			require.Empty(t, g.held)
		})
	}
}

func routePartOf(name string) api.Part {
	return api.Part{ObjectRef: api.ObjectRef{Group: gatewayv1.GroupName, Kind: kindHTTPRoute, Namespace: "edge", Name: name}}
}

// TestAMemberThatRejectsNothingAnyMoreHasWhatTheOthersHave while another one goes on rejecting something else.
func TestAMemberThatRejectsNothingAnyMoreHasWhatTheOthersHave(t *testing.T) {
	c := newMinority(t, 8)
	c.come("two", rejects("/worse"))
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/worse") })
	c.wants("/a1", "/worse", "one")
	c.wants("/bad", "/b2", "two")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a4") })
	c.wait(2 * verdictGrace)
	c.wants("/a4", "/worse", "one", "other-0")
	c.wants("/a4", "/b2", "two")
	require.Equal(t, map[api.Member]struct{}{{Node: "two"}: {}}, c.jury.minorities[api.Minority(front)])

	// What it rejects later has it come back.
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad-again") })
	c.wants("/a4", "/worse", "one")
	c.wants("/bad-again", "/b2", "two")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a5"); c.route(cfg, "b", "/b5") })
	c.wants("/a5", "/b5", "one", "two", "other-0")
	c.wait(10 * verdictGrace)
	require.Empty(t, c.pipeline.back.minorities)
}
