package translator

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// withObjects is a later picture whose objects of the kinds that can be held back are in maps of its own.
func withObjects(cfg *snapshot.Config, holds map[snapshot.HoldKey]snapshot.Hold) *snapshot.Config {
	later := next(cfg)
	later.HTTPRoutes, later.Gateways = maps.Clone(cfg.HTTPRoutes), maps.Clone(cfg.Gateways)
	later.GatewayParameters = maps.Clone(cfg.GatewayParameters)
	later.Holds = holds
	return later
}

// changed is another content of a route, of the kind that its author may write.
func changed(route *gatewayv1.HTTPRoute, path string) *gatewayv1.HTTPRoute {
	route = route.DeepCopy()
	route.Generation++
	kind := gatewayv1.PathMatchPathPrefix
	for i := range route.Spec.Rules {
		route.Spec.Rules[i].Matches = []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}}}
	}
	return route
}

func goodPicture(t *testing.T) (*picture, *Plan) {
	t.Helper()
	docs, _ := parsedDocs(t)
	p, err := newPicture(encoded(t, docs))
	require.NoError(t, err)
	return p, Translate(p.cfg, nil)
}

// sameResources says that two plans give every Gateway the same bytes.
func sameResources(t *testing.T, want, got *Plan) {
	t.Helper()
	require.Equal(t, want.Gateways(), got.Gateways())
	for _, gateway := range want.Gateways() {
		wants, gots := want.Resources(gateway), got.Resources(gateway)
		require.Len(t, gots, len(wants))
		for i := range wants {
			require.True(t, proto.Equal(wants[i].Message, gots[i].Message), "%s %s", wants[i].Type, wants[i].Name)
		}
	}
}

// TestHeldObjectIsExactlyWhatItWasAndTheOthersChangeFreely changes all routes at once and holds each of them back in turn.
func TestHeldObjectIsExactlyWhatItWasAndTheOthersChangeFreely(t *testing.T) {
	p, first := goodPicture(t)
	after := withObjects(p.cfg, nil)
	for name, route := range after.HTTPRoutes {
		after.HTTPRoutes[name] = changed(route, "/changed")
	}
	for name := range p.cfg.HTTPRoutes {
		t.Run(name.String(), func(t *testing.T) {
			part := routePart(p.cfg.HTTPRoutes[name])
			held := withObjects(after, everywhere(first, part, snapshot.Hold{Form: p.cfg.HTTPRoutes[name]}))
			wanted := withObjects(after, nil)
			wanted.HTTPRoutes[name] = p.cfg.HTTPRoutes[name]
			want := Translate(wanted, nil)
			for _, prev := range []*Plan{nil, first, want, Translate(after, first)} {
				got := Translate(held, prev)
				sameResources(t, want, got)
				require.Equal(t, want.Problems(), got.Problems())
			}
			require.Same(t, after.HTTPRoutes[name], held.HTTPRoutes[name], "the picture itself is not changed")
		})
	}
}

func TestHeldTunnelKeepsItsClusterAndLeavesTheOthersAlone(t *testing.T) {
	p, first := goodPicture(t)
	after := withObjects(p.cfg, nil)
	for name, tunnel := range after.Tunnels {
		tunnel = tunnel.DeepCopy()
		connect := gatewayv1.Duration("7s")
		tunnel.Spec.Timeout.Connect = &connect
		after.Tunnels[name] = tunnel
	}
	name := edge("t-1")
	after.Holds = map[snapshot.HoldKey]snapshot.Hold{{Part: tunnelPart(p.cfg.Tunnels[name])}: {Form: p.cfg.Tunnels[name]}}
	got := Translate(after, first)
	require.Same(t, first.tunnels[name].cluster, got.tunnels[name].cluster)
	require.NotEqual(t, first.tunnels[edge("t-2")].cluster, got.tunnels[edge("t-2")].cluster)
}

// everywhere holds a part back in each Gateway.
func everywhere(plan *Plan, part api.Part, hold snapshot.Hold) map[snapshot.HoldKey]snapshot.Hold {
	holds := map[snapshot.HoldKey]snapshot.Hold{}
	for _, gateway := range plan.Gateways() {
		holds[snapshot.HoldKey{View: gateway.String(), Part: part}] = hold
	}
	return holds
}

func TestTunnelThatWasNeverAcceptedIsAnswered500ByTheRoutesToIt(t *testing.T) {
	p, first := goodPicture(t)
	name := edge("t-1")
	part := tunnelPart(p.cfg.Tunnels[name])
	held := withObjects(p.cfg, everywhere(first, part, snapshot.Hold{}))
	for _, prev := range []*Plan{nil, first} {
		got := Translate(held, prev)
		require.Contains(t, got.AllTunnels(), name, "its Cluster is there for those that take it")
		require.True(t, hasProblem(got, codeRefusedTunnel))
		found := false
		for _, resource := range allResources(got) {
			for _, source := range resource.Sources {
				found = found || source == api.Source{Part: part}
			}
		}
		require.True(t, found)
		// And back again.
		sameResources(t, first, Translate(p.cfg, got))
	}
}

// TestTunnelHeldBackInOneGatewayChangesTheRoutesOfThatOneAlone and neither its Cluster nor what other Gateways say of it.
func TestTunnelHeldBackInOneGatewayChangesTheRoutesOfThatOneAlone(t *testing.T) {
	before := mustPicture(t, fmt.Appendf(nil, twoGateways, "1m"))
	after := mustPicture(t, fmt.Appendf(nil, twoGateways, "2m"))
	first := Translate(before.cfg, nil)
	tunnel := edge("app")
	after.cfg.Holds = map[snapshot.HoldKey]snapshot.Hold{
		{View: "edge/one", Part: tunnelPart(before.cfg.Tunnels[tunnel])}: {Form: before.cfg.Tunnels[tunnel]},
	}
	got := Translate(after.cfg, first)
	require.Equal(t, []string{"1m0s", "2m0s"}, []string{idleOf(got, "one"), idleOf(got, "two")})
	require.Same(t, after.cfg.Tunnels[tunnel], got.tunnels[tunnel].tunnel)
	after.cfg.Holds = nil
	got = Translate(after.cfg, got)
	require.Equal(t, []string{"2m0s", "2m0s"}, []string{idleOf(got, "one"), idleOf(got, "two")})
}

// TestRouteHeldBackInOneGatewayChangesInTheOthers that it is attached to.
func TestRouteHeldBackInOneGatewayChangesInTheOthers(t *testing.T) {
	p := mustPicture(t, fmt.Appendf(nil, twoGateways, "1m"))
	first := Translate(p.cfg, nil)
	route := p.cfg.HTTPRoutes[edge("app")]
	after := withObjects(p.cfg, map[snapshot.HoldKey]snapshot.Hold{{View: "edge/one", Part: routePart(route)}: {Form: route}})
	after.HTTPRoutes[edge("app")] = changed(route, "/changed")
	got := Translate(after, first)
	require.Same(t, first.gateways[edge("one")].resources[0], got.gateways[edge("one")].resources[0])
	require.NotContains(t, fmt.Sprint(routesIn(got, "one")), "/changed")
	require.Contains(t, fmt.Sprint(routesIn(got, "two")), "/changed")
	// It is attached there no more, but what was accepted was.
	after = withObjects(after, after.Holds)
	moved := route.DeepCopy()
	moved.Spec.ParentRefs = moved.Spec.ParentRefs[1:]
	after.HTTPRoutes[edge("app")] = moved
	require.Contains(t, fmt.Sprint(routesIn(Translate(after, got), "one")), "tunnel/edge/app")
}

func routesIn(plan *Plan, gateway string) *api.Resource {
	for _, resource := range plan.Resources(edge(gateway)) {
		if strings.HasSuffix(resource.Type, "RouteConfiguration") {
			return resource
		}
	}
	return nil
}

func idleOf(plan *Plan, gateway string) string {
	config := routesIn(plan, gateway).Message.(*routev3.RouteConfiguration)
	return config.GetVirtualHosts()[0].GetRoutes()[0].GetRoute().GetIdleTimeout().AsDuration().String()
}

// TestResourceThatAnObjectLeftAsItWasKnowsTheObjectAsItIs or what is held back later would be an older form than the accepted one.
func TestResourceThatAnObjectLeftAsItWasKnowsTheObjectAsItIs(t *testing.T) {
	p := mustPicture(t, fmt.Appendf(nil, twoGateways, "1m"))
	first := Translate(p.cfg, nil)
	after := next(p.cfg)
	tunnel := p.cfg.Tunnels[edge("app")].DeepCopy()
	tunnel.Spec.Addresses[0].Address = "192.0.2.9" // changes the endpoints alone
	after.Tunnels[edge("app")] = tunnel
	got := Translate(after, first)
	for i, resource := range got.Resources(edge("one")) {
		require.True(t, resource.Shares(first.Resources(edge("one"))[i]))
		for _, source := range resource.Sources {
			if source.Kind == "Tunnel" {
				require.Same(t, tunnel, source.Form)
			}
		}
	}
}

const twoGateways = gatewayClass + `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, namespace: edge}
spec:
  gatewayClassName: podway
  listeners: [{name: http, protocol: HTTP, port: 8001}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: two, namespace: edge}
spec:
  gatewayClassName: podway
  listeners: [{name: http, protocol: HTTP, port: 8002}]
---
apiVersion: podway.dev/v1alpha1
kind: Tunnel
metadata: {name: app, namespace: edge}
spec:
  addresses: [{address: 192.0.2.7, port: 80}]
  timeout: {idle: %s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: edge}
spec:
  parentRefs: [{name: one}, {name: two}]
  rules:
  - backendRefs: [{group: podway.dev, kind: Tunnel, name: app}]
`

func hasProblem(plan *Plan, code string) bool {
	for _, problem := range plan.Problems() {
		if problem.Code == code {
			return true
		}
	}
	return false
}

func TestRouteThatWasNeverAcceptedIsLeftOutOrAnswers500(t *testing.T) {
	p, first := goodPicture(t)
	for name, route := range p.cfg.HTTPRoutes {
		part := routePart(route)
		without := withObjects(p.cfg, nil)
		delete(without.HTTPRoutes, name)
		got := Translate(withObjects(p.cfg, everywhere(first, part, snapshot.Hold{})), first)
		sameResources(t, Translate(without, nil), got)

		refused := Translate(withObjects(p.cfg, everywhere(first, part, snapshot.Hold{Refused: true})), got)
		for _, resource := range allResources(refused) {
			for _, source := range resource.Sources {
				if source.Part == part {
					require.Nil(t, source.Form)
					require.Contains(t, fmt.Sprint(resource.Message), "status:500")
				}
			}
		}
		sameResources(t, first, Translate(p.cfg, refused))
	}
}

const twoListeners = gatewayClass + `apiVersion: podway.dev/v1alpha1
kind: GatewayParameters
metadata: {name: params, namespace: edge}
spec: {network: here, podHeader: %s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  gatewayClassName: podway
  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: params}}
  listeners:
  - {name: one, protocol: HTTP, port: %d}
  - {name: two, protocol: HTTP, port: %d}
`

func listenerNames(plan *Plan) []string {
	var names []string
	for _, resource := range plan.Resources(edge("front")) {
		if resource.Type == "type.googleapis.com/envoy.config.listener.v3.Listener" {
			names = append(names, resource.Name)
		}
	}
	return names
}

func TestHeldListenerLeavesTheOtherListenersAlone(t *testing.T) {
	before := mustPicture(t, fmt.Appendf(nil, twoListeners, "x-pod", 8001, 8002))
	after := mustPicture(t, fmt.Appendf(nil, twoListeners, "x-pod", 9001, 9002))
	first := Translate(before.cfg, nil)
	one := snapshot.HoldKey{View: "edge/front", Part: listenerPart(edge("front"), "one")}
	after.cfg.Holds = map[snapshot.HoldKey]snapshot.Hold{one: {Form: &before.cfg.Gateways[edge("front")].Spec.Listeners[0]}}
	got := Translate(after.cfg, first)
	require.Equal(t, []string{"gateway/edge/front/8001", "gateway/edge/front/9002"}, listenerNames(got))
	require.Same(t, got.gateways[edge("front")], Translate(after.cfg, got).gateways[edge("front")], "nothing is made again")
	after.cfg.Holds = map[snapshot.HoldKey]snapshot.Hold{one: {}}
	got = Translate(after.cfg, got)
	require.Equal(t, []string{"gateway/edge/front/9002"}, listenerNames(got))
	after.cfg.Holds = nil
	require.Equal(t, []string{"gateway/edge/front/9001", "gateway/edge/front/9002"}, listenerNames(Translate(after.cfg, got)))
}

func TestHeldParametersKeepTheirFormOrNothingButTheNetwork(t *testing.T) {
	before := mustPicture(t, fmt.Appendf(nil, twoListeners, "x-before", 8001, 8002))
	after := mustPicture(t, fmt.Appendf(nil, twoListeners, "x-after", 8001, 8002))
	params := edge("params")
	key := snapshot.HoldKey{View: "edge/front", Part: parametersPart(params)}
	effective := func(hold snapshot.Hold) (string, string) {
		after.cfg.Holds = map[snapshot.HoldKey]snapshot.Hold{key: hold}
		f := front{in: &input{cfg: after.cfg}, name: edge("front"), view: edge("front")}
		return f.parametersAt(params).Spec.PodHeader, f.parametersAt(params).Spec.Network
	}
	header, network := effective(snapshot.Hold{Form: before.cfg.GatewayParameters[params]})
	require.Equal(t, "x-before here", header+" "+network)
	header, network = effective(snapshot.Hold{})
	require.Equal(t, " here", header+" "+network)
	one := Translate(after.cfg, nil)
	require.Same(t, one.gateways[edge("front")], Translate(after.cfg, one).gateways[edge("front")], "nothing is made again")
}

func TestHeldSecretIsWhatItWas(t *testing.T) {
	p, first := goodPicture(t)
	name := types.NamespacedName{Namespace: "edge", Name: "pair-1"}
	part := api.Part{ObjectRef: api.ObjectRef{Kind: "Secret", Namespace: "edge", Name: "pair-1"}}
	same := withObjects(p.cfg, map[snapshot.HoldKey]snapshot.Hold{{Part: part}: {Form: p.cfg.Secrets[name]}})
	same.Secrets = maps.Clone(same.Secrets)
	same.Secrets[name] = &corev1.Secret{}
	sameResources(t, first, Translate(same, nil))
}

// TestHoldOfWhatHasGoneIsNothing for the object comes first.
func TestHoldOfWhatHasGoneIsNothing(t *testing.T) {
	p, _ := goodPicture(t)
	for name, route := range p.cfg.HTTPRoutes {
		without := withObjects(p.cfg, nil)
		delete(without.HTTPRoutes, name)
		held := withObjects(without, everywhere(Translate(p.cfg, nil), routePart(route), snapshot.Hold{Form: route}))
		sameResources(t, Translate(without, nil), Translate(held, nil))
	}
}

func TestSourcesOfARouteConfigurationAreItsRoutesListenersAndParameters(t *testing.T) {
	p := mustPicture(t, goldens(t)["front-attach"])
	plan := Translate(p.cfg, nil)
	for _, gateway := range plan.Gateways() {
		for _, resource := range plan.Resources(gateway) {
			require.NotEmpty(t, resource.Sources, "%s %s", resource.Type, resource.Name)
			for _, owner := range resource.Owners[1:] {
				found := false
				for _, source := range resource.Sources {
					found = found || source.ObjectRef == owner.ObjectRef
				}
				require.True(t, found, "%s is among the sources of %s", owner.ObjectRef, resource.Name)
			}
		}
	}
}
