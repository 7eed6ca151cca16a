package holdback

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/files"
)

// jury is Envoys that take what they are sent at once, or reject it.
type jury struct {
	tell func(api.Rejection)
	// views is what is served.
	views map[string][]*api.Resource
	// has is what each Envoy has, by its name; rejects says what it does not take.
	has     map[string]map[api.ResourceKey]*api.Resource
	rejects map[string]func(*api.Resource) bool
	// gateway is that of each Envoy, front where it is not said.
	gateway map[string]string
	// build is the version of each Envoy.
	build map[string]string
	// refused is the last content of each name that an Envoy rejected: it is not sent again.
	refused map[string]map[api.ResourceKey]*api.Resource
	served  map[api.ResourceKey]*api.Resource
	byView  map[string]map[api.ResourceKey]*api.Resource
	// anew is when each Envoy was started that had nothing.
	anew map[string]time.Time
	// unknown are contents that podway does not know.
	unknown map[*api.Resource]bool
	// message is why they reject, and say that of one resource. whims come over an Envoy before it is sent something, watch is called after all were.
	message string
	say     func(*api.Resource) string
	whims   func(node string)
	watch   func()
	back    map[string][]api.HeldBack
	// minorities are as they were set, and view is what each Envoy had last.
	minorities map[string]map[api.Member]struct{}
	view       map[string]string
}

func (j *jury) SetViews(views map[string][]*api.Resource) {
	j.views = views
	j.served, j.byView = map[api.ResourceKey]*api.Resource{}, map[string]map[api.ResourceKey]*api.Resource{}
	for view, resources := range views {
		j.byView[view] = map[api.ResourceKey]*api.Resource{}
		for _, resource := range resources {
			j.served[resource.ResourceKey] = resource
			j.byView[view][resource.ResourceKey] = resource
		}
	}
	for _, node := range slices.Sorted(maps.Keys(j.has)) {
		j.serve(node, views[j.viewOf(node)])
	}
	if j.watch != nil {
		j.watch()
	}
}

func (j *jury) SetMinorities(byView map[string]map[api.Member]struct{}) {
	j.minorities = byView
	for _, node := range slices.Sorted(maps.Keys(j.has)) {
		if view := j.viewOf(node); view != j.view[node] && j.views != nil {
			j.serve(node, j.views[view])
		}
	}
}

// serve sends a view to an Envoy, and tells once more what it rejected where it is another one than before.
func (j *jury) serve(node string, resources []*api.Resource) {
	before, known := j.view[node]
	j.view[node] = j.viewOf(node)
	for _, resource := range resources {
		if refused := j.refused[node][resource.ResourceKey]; known && before != j.view[node] && refused != nil && refused.Equal(resource) {
			j.reject(node, resource)
		}
		j.send(node, resource)
	}
}

// viewOf is what an Envoy has.
func (j *jury) viewOf(node string) string {
	view := j.gatewayOf(node)
	for {
		few := api.Minority(view)
		if _, member := j.minorities[few][api.Member{Node: node, Build: j.build[node]}]; !member || j.byView[few] == nil {
			return view
		}
		view = few
	}
}

func (j *jury) reason(resource *api.Resource) string {
	if j.say != nil {
		return j.say(resource)
	}
	return cmp.Or(j.message, "no good")
}

func (j *jury) send(node string, resource *api.Resource) {
	key := resource.ResourceKey
	if j.whims != nil {
		j.whims(node)
	}
	switch {
	case j.has[node][key].Equal(resource):
		j.has[node][key] = resource // it may be known to be of a newer form
		delete(j.refused[node], key)
	case j.refused[node][key].Equal(resource):
	case j.rejects[node](resource):
		j.refused[node][key] = resource
		j.reject(node, resource)
	default:
		j.has[node][key] = resource
		delete(j.refused[node], key)
	}
}

func (j *jury) reject(node string, resource *api.Resource) {
	j.tell(api.Rejection{
		Node: node, View: j.viewOf(node), Key: resource.ResourceKey, Version: versionOf(resource), Message: j.reason(resource), Owners: resource.Owners,
	})
}

func versionOf(resource *api.Resource) string {
	if resource.Wire != nil {
		return string(resource.Wire)
	}
	return prototext.Format(resource.Message)
}

func (j *jury) gatewayOf(node string) string { return cmp.Or(j.gateway[node], front) }

func (j *jury) Answers(view string, key api.ResourceKey) api.Answers {
	var answers api.Answers
	var had []*api.Resource
	served := j.byView[view][key]
	for _, node := range slices.Sorted(maps.Keys(j.has)) {
		has := j.has[node]
		switch {
		case served == nil || j.viewOf(node) != view:
			continue
		case has[key].Equal(served):
			answers.Accepted++
			continue
		case !j.refused[node][key].Equal(served) && j.whims != nil:
			answers.Waiting++
			continue
		case !j.refused[node][key].Equal(served):
			panic("neither accepted nor rejected")
		}
		answers.HadNothing = has[key] == nil && (answers.HadNothing || len(answers.Rejected) == 0)
		if has[key] != nil && !j.unknown[has[key]] {
			had = append(had, has[key])
		}
		answers.Rejected, answers.Version, answers.Message = append(answers.Rejected, node), versionOf(served), j.reason(served)
		answers.Builds = append(answers.Builds, j.build[node])
	}
	most := 0
	for _, one := range had {
		count := 0
		for _, other := range had {
			if one.Equal(other) {
				count++
			}
		}
		if count > most {
			most, answers.Had = count, one
		}
	}
	return answers
}

func (j *jury) Asking(view string, _ api.ResourceKey, is func(member api.Member, anew time.Time) bool) (envoys int, connected bool) {
	for node := range j.has {
		if j.viewOf(node) == view {
			envoys++
			connected = connected || is(api.Member{Node: node, Build: j.build[node]}, j.anew[node])
		}
	}
	return envoys, connected
}

// forget makes what Envoys have unknown to podway, as after a restart.
func (j *jury) forget() {
	j.unknown = map[*api.Resource]bool{}
	for _, has := range j.has {
		for _, resource := range has {
			j.unknown[resource] = true
		}
	}
}

func (j *jury) SetHeldBack(back map[string][]api.HeldBack) { j.back = back }

// add connects an Envoy that has nothing and takes what it is sent.
func (j *jury) add(node string, rejects func(*api.Resource) bool) {
	if j.has == nil {
		j.has, j.rejects = map[string]map[api.ResourceKey]*api.Resource{}, map[string]func(*api.Resource) bool{}
		j.gateway, j.build, j.view, j.anew = map[string]string{}, map[string]string{}, map[string]string{}, map[string]time.Time{}
		j.refused = map[string]map[api.ResourceKey]*api.Resource{}
	}
	j.has[node], j.refused[node], j.rejects[node] = map[api.ResourceKey]*api.Resource{}, map[api.ResourceKey]*api.Resource{}, rejects
}

// isBad is true for what a test has marked.
func isBad(resource *api.Resource) bool {
	return resource.Message != nil && strings.Contains(prototext.Format(resource.Message), "bad")
}

// court is a pipeline whose Envoys are a jury.
type court struct {
	*testing.T
	jury     *jury
	pipeline *pipeline
	board    *board
	cfg      *snapshot.Config
	state    *files.State
	// judged is how often what is held back changed.
	judged int
	now    time.Time
}

func newCourt(t *testing.T, routes ...string) *court {
	t.Helper()
	return newCourtOf(t, &jury{}, routes...)
}

func newCourtOf(t *testing.T, jury *jury, routes ...string) *court {
	t.Helper()
	state, err := files.Load([]string{"../cmd/podway/testdata/base"}, files.Options{})
	require.NoError(t, err)
	c := &court{T: t, jury: jury, state: state, cfg: state.Config, now: time.Now()}
	c.jury.add("one", isBad)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c.board = &board{}
	rejected := newRejections(c.board)
	c.jury.tell = rejected.Add
	c.pipeline = newPipeline(c.jury, c.board, rejected, log)
	c.change(func(cfg *snapshot.Config) {
		for _, route := range routes {
			name, path, _ := strings.Cut(route, "/")
			c.route(cfg, name, "/"+path)
		}
	})
	return c
}

func (c *court) live(key pods.ServiceKey) *pods.Set { return c.state.Pods[key] }

// route writes an HTTPRoute with one path.
func (c *court) route(cfg *snapshot.Config, name, path string) {
	hello := types.NamespacedName{Namespace: "edge", Name: "hello"}
	route := c.state.Config.HTTPRoutes[hello].DeepCopy()
	kind := gatewayv1.PathMatchPathPrefix
	route.Name = name
	route.Spec.Rules[0].Matches = []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}}}
	cfg.HTTPRoutes[types.NamespacedName{Namespace: "edge", Name: name}] = route
}

// change applies another configuration, and judges until nothing changes any more.
func (c *court) change(change func(*snapshot.Config)) {
	c.Helper()
	c.apply(change)
	c.settle()
}

// apply applies another configuration.
func (c *court) apply(change func(*snapshot.Config)) {
	c.Helper()
	later := *c.cfg
	later.HTTPRoutes, later.Tunnels, later.Gateways = maps.Clone(later.HTTPRoutes), maps.Clone(later.Tunnels), maps.Clone(later.Gateways)
	change(&later)
	c.cfg = &later
	c.pipeline.apply(&later, c.live)
}

// again applies what is held back of the same one.
func (c *court) again() { c.pipeline.apply(c.pipeline.cfg, c.live) }

func (c *court) settle() {
	c.Helper()
	c.judged = 0
	for waits := time.Duration(0); waits <= verdictGrace; waits += turnEvery {
		for ; c.judge(); c.judged++ {
			require.Less(c, c.judged, 500, "it does not settle")
			c.again()
			waits = 0
		}
	}
}

func (c *court) judge() bool {
	c.now = c.now.Add(turnEvery)
	return c.pipeline.back.Judge(c.now)
}

// held are the parts that are held back in the one Gateway.
func (c *court) held() map[api.Part]*heldPart { return c.pipeline.back.byView[front].held }

// paths are those of each HTTPRoute that an Envoy has; "500" for one that answers so.
func (c *court) paths(node string) map[string]string {
	paths := map[string]string{}
	for key, resource := range c.jury.has[node] {
		config, ok := resource.Message.(*routev3.RouteConfiguration)
		if !ok || c.jury.served[key] == nil {
			continue
		}
		for _, host := range config.GetVirtualHosts() {
			for _, route := range host.GetRoutes() {
				name := strings.Split(route.GetName(), "/")[1]
				paths[name] = route.GetMatch().GetPathSeparatedPrefix() + route.GetMatch().GetPrefix()
				if route.GetDirectResponse().GetStatus() == 500 {
					paths[name] = "500"
				}
			}
		}
	}
	delete(paths, "hello") // that of testdata/base
	return paths
}

// accused are the objects that are said to be rejected.
func (c *court) accused() []string {
	var names []string
	for _, problem := range c.board.all() {
		if problem.Code == CodeRejectedByEnvoy {
			names = append(names, problem.Object.Name)
		}
	}
	return names
}

func TestRejectedRouteKeepsItsLastAcceptedFormAndTheOthersChange(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1", "c/c1")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad"); c.route(cfg, "b", "/b2") })
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b2", "c": "/c1"}, c.paths("one"))
	require.Equal(t, []string{"a"}, c.accused())
	problem := c.board.all()[0]
	require.Equal(t, "error RejectedByEnvoy: HTTPRoute edge/a: an Envoy of the Gateway edge/front (one) rejects gateway/edge/front/8080 with it: no good; "+
		"its last accepted form stays in force; change what the message names", problem.String())
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "c", "/c2") })
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b2", "c": "/c2"}, c.paths("one"))
	require.Zero(t, c.judged)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/badder") })
	require.Equal(t, "/a1", c.paths("one")["a"])
	require.Equal(t, []string{"a"}, c.accused())
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a2") })
	require.Equal(t, map[string]string{"a": "/a2", "b": "/b2", "c": "/c2"}, c.paths("one"))
	require.Empty(t, c.board.all())
	require.Empty(t, c.held())
	require.Empty(t, c.pipeline.back.byView[front].trials)
}

func TestRouteThatIsBadFromTheBeginningIsLeftOutAndItsNeighboursServe(t *testing.T) {
	c := newCourt(t, "a/a1", "b/bad", "c/c1")
	require.Equal(t, map[string]string{"a": "/a1", "c": "/c1"}, c.paths("one"))
	require.Equal(t, []string{"b"}, c.accused())
	require.Contains(t, c.board.all()[0].Message, "it is left out, for no accepted form of it is known")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b1") })
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b1", "c": "/c1"}, c.paths("one"))
}

func TestNewRouteWhoseMatchIsGoodAnswers500(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.change(func(cfg *snapshot.Config) {
		c.route(cfg, "b", "/b1")
		rule := &cfg.HTTPRoutes[types.NamespacedName{Namespace: "edge", Name: "b"}].Spec.Rules[0]
		rule.Filters = []gatewayv1.HTTPRouteFilter{{
			Type:                  gatewayv1.HTTPRouteFilterRequestHeaderModifier,
			RequestHeaderModifier: &gatewayv1.HTTPHeaderFilter{Set: []gatewayv1.HTTPHeader{{Name: "x-bad", Value: "1"}}},
		}}
	})
	require.Equal(t, map[string]string{"a": "/a1", "b": "500"}, c.paths("one"))
	require.Contains(t, c.board.all()[0].Message, "what it matches is answered 500")
}

func TestRejectedTunnelKeepsItsLastAcceptedFormForOtherEnvoysToo(t *testing.T) {
	c := newCourt(t)
	hello := types.NamespacedName{Namespace: "edge", Name: "hello"}
	key := api.ResourceKey{Type: "type.googleapis.com/envoy.config.cluster.v3.Cluster", Name: "tunnel/edge/hello"}
	good := c.jury.served[key]
	c.jury.rejects["one"] = func(r *api.Resource) bool {
		cluster, ok := r.Message.(*clusterv3.Cluster)
		return ok && cluster.GetConnectTimeout().AsDuration() == 123*time.Millisecond
	}
	connect := func(timeout gatewayv1.Duration) func(*snapshot.Config) {
		return func(cfg *snapshot.Config) {
			tunnel := cfg.Tunnels[hello].DeepCopy()
			tunnel.Spec.Timeout = &v1alpha1.Timeout{Connect: &timeout}
			cfg.Tunnels[hello] = tunnel
		}
	}
	c.change(connect("123ms"))
	require.True(t, good.Equal(c.jury.served[key]), "the last accepted form is what was before")
	require.Equal(t, []string{"hello"}, c.accused())
	c.change(connect("124ms"))
	require.False(t, good.Equal(c.jury.served[key]))
	require.Empty(t, c.accused())
}

func TestRejectedListenerLeavesTheOtherListenersAlone(t *testing.T) {
	c := newCourt(t)
	c.jury.rejects["one"] = func(r *api.Resource) bool { return strings.Contains(r.Name, "/666") }
	front := types.NamespacedName{Namespace: "edge", Name: "front"}
	c.change(func(cfg *snapshot.Config) {
		gateway := cfg.Gateways[front].DeepCopy()
		for name, port := range map[gatewayv1.SectionName]gatewayv1.PortNumber{"bad": 666, "good": 777} {
			gateway.Spec.Listeners = append(gateway.Spec.Listeners, gatewayv1.Listener{Name: name, Port: port, Protocol: gatewayv1.HTTPProtocolType})
		}
		cfg.Gateways[front] = gateway
	})
	listeners := func(of map[api.ResourceKey]*api.Resource) (names []string) {
		for key, resource := range of {
			if listener, ok := resource.Message.(*listenerv3.Listener); ok && c.jury.served[key] != nil {
				names = append(names, listener.GetName())
			}
		}
		return names
	}
	require.ElementsMatch(t, []string{"gateway/edge/front/777", "gateway/edge/front/8080"}, listeners(c.jury.has["one"]))
	require.Contains(t, c.board.all()[0].String(), "Gateway edge/front: an Envoy of the Gateway edge/front (one) rejects gateway/edge/front/666: no good")
	// It is a resource of its own, so Envoys that come later get it, and take it or not.
	c.jury.add("two", func(*api.Resource) bool { return false })
	c.jury.SetViews(c.jury.views)
	c.settle()
	require.Len(t, listeners(c.jury.has["two"]), 3)
}

func TestRejectedParametersKeepTheirFormAndANewListenerIsServedWithIt(t *testing.T) {
	c := newCourt(t, "a/a1")
	front := types.NamespacedName{Namespace: "edge", Name: "front"}
	set := func(header string, ports ...gatewayv1.PortNumber) {
		c.change(func(cfg *snapshot.Config) {
			cfg.GatewayParameters = map[types.NamespacedName]*v1alpha1.GatewayParameters{front: {
				ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "front"}, Spec: v1alpha1.GatewayParametersSpec{PodHeader: header},
			}}
			gateway := c.state.Config.Gateways[front].DeepCopy()
			gateway.Spec.Infrastructure = &gatewayv1.GatewayInfrastructure{ParametersRef: &gatewayv1.LocalParametersReference{
				Group: v1alpha1.Group, Kind: v1alpha1.KindGatewayParameters, Name: "front",
			}}
			for _, port := range ports {
				gateway.Spec.Listeners = append(gateway.Spec.Listeners, gatewayv1.Listener{
					Name: gatewayv1.SectionName(fmt.Sprint(port)), Port: port, Protocol: gatewayv1.HTTPProtocolType,
				})
			}
			cfg.Gateways[front] = gateway
		})
	}
	headers := func() (names []string) {
		for _, resource := range c.jury.has["one"] {
			if config, ok := resource.Message.(*routev3.RouteConfiguration); ok {
				names = append(names, config.GetVirtualHosts()[0].GetRoutes()[0].GetResponseHeadersToAdd()[0].GetHeader().GetKey())
			}
		}
		return names
	}
	set("x-good")
	require.Equal(t, []string{"x-good"}, headers())
	set("x-bad", 9090)
	require.Equal(t, []string{"x-good", "x-good"}, headers())
	require.Equal(t, []string{"front"}, c.accused())
	require.Contains(t, c.board.all()[0].String(), "GatewayParameters edge/front")
	set("x-better", 9090)
	require.Equal(t, []string{"x-better", "x-better"}, headers())
	require.Empty(t, c.accused())
}

// TestTheMajorityOfAGatewaysEnvoysDecides what is held back; as many are one.
func TestTheMajorityOfAGatewaysEnvoysDecides(t *testing.T) {
	for _, test := range []struct {
		rejecting, accepting int
		held                 bool
	}{{1, 0, true}, {1, 1, true}, {1, 2, false}, {1, 8, false}, {4, 5, false}, {5, 5, true}, {5, 4, true}} {
		t.Run(fmt.Sprintf("%d of %d", test.rejecting, test.rejecting+test.accepting), func(t *testing.T) {
			c := newCourt(t, "a/a1", "b/b1")
			for i := 1; i < test.rejecting; i++ {
				c.jury.add(fmt.Sprintf("too-%d", i), isBad)
			}
			for i := range test.accepting {
				c.jury.add(fmt.Sprintf("other-%d", i), func(*api.Resource) bool { return false })
			}
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b2") })
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b3") })
			want := map[string]string{"a": "/a1", "b": "/b3"}
			require.Equal(t, want, c.paths("one"))
			if !test.held {
				want["a"] = "/bad"
			}
			for i := range test.accepting {
				require.Equal(t, want, c.paths(fmt.Sprintf("other-%d", i)))
			}
			require.Len(t, c.accused(), 1)
			require.Contains(t, c.board.all()[0].Message, "one")
		})
	}
}

// TestAnEnvoyThatTakesNothingHoldsNothingBack, and what it had long ago comes back nowhere, when the others reject something.
func TestAnEnvoyThatTakesNothingHoldsNothingBack(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1", "c/c1")
	for i := range 3 {
		c.jury.add(fmt.Sprintf("sound-%d", i), isBad)
	}
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "c", "/c2") })
	c.jury.add("0-ancient", func(*api.Resource) bool { return false })
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "c", "/c3") })
	c.jury.rejects["0-ancient"] = func(*api.Resource) bool { return true }
	for _, path := range []string{"/b2", "/b3"} {
		c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", path) })
		require.LessOrEqual(t, c.judged, 3)
		require.Equal(t, map[string]string{"a": "/a1", "b": path, "c": "/c3"}, c.paths("sound-0"))
	}
	require.Contains(t, c.board.all()[0].Message, "an Envoy of the Gateway edge/front (0-ancient) rejects gateway/edge/front/8080 with it: no good")
	c.jury.watch = func() { require.Equal(t, "/b3", c.paths("sound-0")["b"]) }
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad"); c.route(cfg, "c", "/c4") })
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b3", "c": "/c4"}, c.paths("sound-0"))
}

// come connects an Envoy.
func (c *court) come(node string, rejects func(*api.Resource) bool) {
	c.Helper()
	c.jury.add(node, rejects)
	c.jury.SetViews(c.jury.views)
	c.settle()
}

// TestAVerdictOfFewIsOpenedAgainWhenManyCome and is another one then, or the same.
func TestAVerdictOfFewIsOpenedAgainWhenManyCome(t *testing.T) {
	for name, take := range map[string]bool{"they take it": true, "they do not": false} {
		t.Run(name, func(t *testing.T) {
			rejects := isBad
			if take {
				rejects = func(*api.Resource) bool { return false }
			}
			c := newCourt(t, "a/a1", "b/b1")
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
			require.Equal(t, "/a1", c.paths("one")["a"])
			c.come("two", rejects)
			require.Zero(t, c.judged, "one of two is not less than half")
			c.come("three", rejects)
			want := map[string]string{"a": "/bad", "b": "/b1"}
			if !take {
				want["a"] = "/a1"
				require.Contains(t, c.board.all()[0].Message, "3 Envoys of the Gateway edge/front (one, three, two) reject")
			}
			require.Equal(t, want, c.paths("two"))
			require.Equal(t, want, c.paths("three"))
			require.Equal(t, map[string]string{"a": "/a1", "b": "/b1"}, c.paths("one"))
			require.Len(t, c.accused(), 1)
			for i := range 20 {
				c.come(fmt.Sprintf("more-%d", i), rejects)
				require.Equal(t, want, c.paths("two"))
				require.LessOrEqual(t, c.judged, 2)
			}
		})
	}
}

// TestAnEnvoyThatIsTheFirstToComeBackAfterARestartDoesNotDecide what the others of its Gateway have.
func TestAnEnvoyThatIsTheFirstToComeBackAfterARestartDoesNotDecide(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	for _, node := range []string{"two", "three"} {
		c.jury.add(node, func(*api.Resource) bool { return false })
	}
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b2") })
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	want := map[string]string{"a": "/bad", "b": "/b2"}
	require.Equal(t, want, c.paths("two"))
	away := map[string]map[api.ResourceKey]*api.Resource{"two": c.jury.has["two"], "three": c.jury.has["three"]}
	delete(c.jury.has, "two")
	delete(c.jury.has, "three")
	c.jury.forget()
	clear(c.jury.refused["one"])
	c.pipeline = newPipeline(c.jury, c.board, c.pipeline.rejected, c.pipeline.log)
	c.apply(nothing)
	c.now = time.Now()
	require.False(t, c.judge())
	maps.Copy(c.jury.has, away)
	c.jury.watch = func() { require.Equal(t, want, c.paths("two")) }
	c.jury.SetViews(c.jury.views)
	c.settle()
	require.Empty(t, c.held())
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b2"}, c.paths("one"))
}

// TestEnvoysThatRejectDifferentThings: what no majority rejects is in force, nobody has what it rejects, and the search ends.
func TestEnvoysThatRejectDifferentThings(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	rejects := func(text string) func(*api.Resource) bool {
		return func(r *api.Resource) bool {
			return r.Message != nil && strings.Contains(prototext.Format(r.Message), text)
		}
	}
	c.jury.rejects["one"] = rejects("/first-bad")
	c.jury.add("two", rejects("/second-bad"))
	c.jury.add("three", rejects("nothing"))
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "b", "/b2") })
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/first-bad"); c.route(cfg, "b", "/second-bad") })
	paths := c.paths("three")
	require.Contains(t, []map[string]string{{"a": "/first-bad", "b": "/b2"}, {"a": "/a1", "b": "/second-bad"}}, paths)
	require.LessOrEqual(t, c.judged, 12)
	require.Equal(t, "/a1", c.paths("one")["a"])
	require.Equal(t, "/b2", c.paths("two")["b"])
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a3"); c.route(cfg, "b", "/b3") })
	for _, node := range []string{"one", "two", "three"} {
		require.Equal(t, map[string]string{"a": "/a3", "b": "/b3"}, c.paths(node))
	}
	require.Empty(t, c.board.all())
}

func TestEnvoyThatHasAnUnknownVersionLosesNothingWhileTheOneToBlameIsSought(t *testing.T) {
	lost := false
	// As after a restart of podway: an Envoy has something, and takes nothing in which b is.
	c := newCourtWith(t, func(r *api.Resource) bool {
		config, ok := r.Message.(*routev3.RouteConfiguration)
		if ok && !isBad(r) {
			lost = lost || len(config.GetVirtualHosts()[0].GetRoutes()) < 4
		}
		return isBad(r)
	}, "a/a1", "b/bad", "c/c1", "d/d1")
	require.False(t, lost)
	require.Equal(t, map[string]string{"a": "/a1", "c": "/c1", "d": "/d1"}, c.paths("one"))
	require.Equal(t, []string{"b"}, c.accused())
}

func newCourtWith(t *testing.T, rejects func(*api.Resource) bool, routes ...string) *court {
	t.Helper()
	c := newCourt(t)
	c.jury.rejects["one"] = rejects
	c.jury.forget()
	c.pipeline = newPipeline(c.jury, c.board, c.pipeline.rejected, c.pipeline.log)
	c.change(func(cfg *snapshot.Config) {
		for _, route := range routes {
			name, path, _ := strings.Cut(route, "/")
			c.route(cfg, name, "/"+path)
		}
	})
	return c
}

// TestWhatNobodyEverAcceptedIsNoMeasure has a bad route from the beginning, and another one that changes before any Envoy comes.
func TestWhatNobodyEverAcceptedIsNoMeasure(t *testing.T) {
	c := newCourt(t)
	delete(c.jury.has, "one")
	c.change(func(cfg *snapshot.Config) {
		c.route(cfg, "a", "/a1")
		c.route(cfg, "b", "/bad")
		c.route(cfg, "c", "/c1")
	})
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a2") })
	c.jury.add("one", isBad)
	c.jury.SetViews(c.jury.views)
	c.settle()
	require.Equal(t, map[string]string{"a": "/a2", "c": "/c1"}, c.paths("one"))
	require.Equal(t, []string{"b"}, c.accused())
}

// TestAnEnvoyThatMovesToAnotherReplicaKeepsWhatItHas although that one has never seen an Envoy accept it.
func TestAnEnvoyThatMovesToAnotherReplicaKeepsWhatItHas(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	had := c.jury.has["one"]
	delete(c.jury.has, "one")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	c.jury.add("one", isBad)
	c.jury.has["one"] = had
	c.jury.forget()
	c.jury.SetViews(c.jury.views)
	c.settle()
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b1"}, c.paths("one"))
	require.Equal(t, []string{"a"}, c.accused())
}

// TestOnlyWhatIsBadIsHeldBack changes random routes at random, several at once, good and bad, for some Envoys of which all reject the same.
func TestOnlyWhatIsBadIsHeldBack(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			const count = 9
			var first []string
			want := map[string]string{}
			for i := range count {
				first = append(first, fmt.Sprintf("r%d/first%d", i, i))
				want[fmt.Sprintf("r%d", i)] = fmt.Sprintf("/first%d", i)
			}
			c := newCourt(t, first...)
			for i := range random.IntN(4) {
				c.jury.add(fmt.Sprintf("other-%d", i), isBad)
			}
			bad := map[string]bool{}
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "r0", "/first0") }) // all have it
			for step := range 12 {
				c.change(func(cfg *snapshot.Config) {
					for range 1 + random.IntN(count) {
						name, path := fmt.Sprintf("r%d", random.IntN(count)), fmt.Sprintf("/good%d", step)
						if bad[name] = random.IntN(3) == 0; bad[name] {
							path = fmt.Sprintf("/bad%d", step)
						}
						c.route(cfg, name, path)
					}
				})
				for name := range want {
					route := c.cfg.HTTPRoutes[types.NamespacedName{Namespace: "edge", Name: name}]
					if !bad[name] {
						want[name] = *route.Spec.Rules[0].Matches[0].Path.Value
					}
				}
				for node := range c.jury.has {
					require.Equal(t, want, c.paths(node))
				}
				require.LessOrEqual(t, c.judged, 3*count)
				accused := map[string]bool{}
				for _, name := range c.accused() {
					accused[name] = true
				}
				for name := range want {
					require.Equal(t, bad[name], accused[name], name)
				}
			}
		})
	}
}

// TestReplicasHoldBackTheSame where their Envoys reject the same, whatever they learned it from.
func TestReplicasHoldBackTheSame(t *testing.T) {
	one, other := newCourt(t, "a/a1", "b/b1", "c/c1"), newCourt(t, "a/a1", "b/b1", "c/c1")
	one.change(func(cfg *snapshot.Config) { one.route(cfg, "a", "/bad"); one.route(cfg, "b", "/b2") })
	other.change(func(cfg *snapshot.Config) { other.route(cfg, "b", "/b2") })
	other.change(func(cfg *snapshot.Config) { other.route(cfg, "a", "/bad") })
	for key, resource := range one.jury.served {
		require.True(t, resource.Equal(other.jury.served[key]), "%s %s", key.Type, key.Name)
	}
}

func TestHoldbackWaitsForSlowEnvoysOnlySoLong(t *testing.T) {
	c := newCourt(t, "a/a1")
	back := c.pipeline.back.byView[front]
	start := time.Now()
	tr, had := &trial{resource: &api.Resource{}, since: start}, &api.Resource{}
	for _, test := range []struct {
		answers             api.Answers
		after               time.Duration
		undecided, rejected bool
	}{
		{api.Answers{Rejected: []string{"a"}, Had: had}, 0, false, true},
		{api.Answers{Rejected: []string{"a"}, Had: had, Waiting: 1}, 0, true, false},
		{api.Answers{Rejected: []string{"a"}, Had: had, Waiting: 1}, verdictGrace, false, true},
		{api.Answers{Waiting: 1}, verdictGrace, true, false},
		{api.Answers{Accepted: 1, Waiting: 1}, verdictGrace, false, false},
		{api.Answers{Accepted: 3, Rejected: []string{"a", "b"}, Had: had}, 0, false, false},
		{api.Answers{Accepted: 2, Rejected: []string{"a", "b"}, Had: had}, 0, false, true},
		{api.Answers{Accepted: 2, Rejected: []string{"a"}, Had: had, Waiting: 1}, 0, true, false},
		{api.Answers{Rejected: []string{"a"}, HadNothing: true}, 0, false, true},
		{api.Answers{Rejected: []string{"a"}}, 0, true, false}, // others may come back after a restart
		{api.Answers{Accepted: 2, Rejected: []string{"a"}}, 0, true, false},
		{api.Answers{Rejected: []string{"a"}}, verdictGrace, false, true},
		{api.Answers{}, 0, false, false},
	} {
		v := back.verdict(tr, start.Add(test.after), fixed(test.answers))
		require.Equal(t, [2]bool{test.undecided, test.rejected}, [2]bool{v.undecided, v.rejected}, "%+v", test)
	}
}

// fixed is an electorate that always says the same.
type fixed api.Answers

func (f fixed) Answers(string, api.ResourceKey) api.Answers { return api.Answers(f) }

func (f fixed) Asking(string, api.ResourceKey, func(api.Member, time.Time) bool) (int, bool) {
	return 0, false
}

func (f fixed) SetHeldBack(map[string][]api.HeldBack) {}

func (f fixed) SetMinorities(map[string]map[api.Member]struct{}) {}
