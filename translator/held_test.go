package translator

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// withObjects is a later picture whose objects of the kinds that can be held back are in maps of its own.
func withObjects(cfg *snapshot.Config, holds map[api.Part]snapshot.Hold) *snapshot.Config {
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
			held := withObjects(after, map[api.Part]snapshot.Hold{part: {Form: p.cfg.HTTPRoutes[name]}})
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
	after.Holds = map[api.Part]snapshot.Hold{tunnelPart(p.cfg.Tunnels[name]): {Form: p.cfg.Tunnels[name]}}
	got := Translate(after, first)
	require.Same(t, first.tunnels[name].cluster, got.tunnels[name].cluster)
	require.NotEqual(t, first.tunnels[edge("t-2")].cluster, got.tunnels[edge("t-2")].cluster)
}

func TestTunnelThatWasNeverAcceptedIsRefused(t *testing.T) {
	p, first := goodPicture(t)
	name := edge("t-1")
	held := withObjects(p.cfg, map[api.Part]snapshot.Hold{tunnelPart(p.cfg.Tunnels[name]): {}})
	for _, prev := range []*Plan{nil, first} {
		got := Translate(held, prev)
		require.NotContains(t, got.AllTunnels(), name)
		require.Equal(t, Endpoints{}, got.Endpoints(name, p.live))
		require.True(t, hasProblem(got, codeRefusedTunnel))
		// And back again.
		sameResources(t, first, Translate(p.cfg, got))
	}
}

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
		got := Translate(withObjects(p.cfg, map[api.Part]snapshot.Hold{part: {}}), first)
		sameResources(t, Translate(without, nil), got)

		refused := Translate(withObjects(p.cfg, map[api.Part]snapshot.Hold{part: {Refused: true}}), got)
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

const twoListeners = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
apiVersion: podway.dev/v1alpha1
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
	one := listenerPart(edge("front"), "one")
	after.cfg.Holds = map[api.Part]snapshot.Hold{one: {Form: &before.cfg.Gateways[edge("front")].Spec.Listeners[0]}}
	got := Translate(after.cfg, first)
	require.Equal(t, []string{"gateway/edge/front/8001", "gateway/edge/front/9002"}, listenerNames(got))
	require.Same(t, got.gateways[edge("front")], Translate(after.cfg, got).gateways[edge("front")], "nothing is made again")
	after.cfg.Holds = map[api.Part]snapshot.Hold{one: {}}
	got = Translate(after.cfg, got)
	require.Equal(t, []string{"gateway/edge/front/9002"}, listenerNames(got))
	after.cfg.Holds = nil
	require.Equal(t, []string{"gateway/edge/front/9001", "gateway/edge/front/9002"}, listenerNames(Translate(after.cfg, got)))
}

func TestHeldParametersKeepTheirFormOrNothingButTheNetwork(t *testing.T) {
	before := mustPicture(t, fmt.Appendf(nil, twoListeners, "x-before", 8001, 8002))
	after := mustPicture(t, fmt.Appendf(nil, twoListeners, "x-after", 8001, 8002))
	params := edge("params")
	part := api.Part{ObjectRef: api.ObjectRef{Group: "podway.dev", Kind: "GatewayParameters", Namespace: "edge", Name: "params"}}
	effective := func(holds map[api.Part]snapshot.Hold) (string, string) {
		after.cfg.Holds = holds
		cfg, _ := inForce(after.cfg, &Plan{})
		return cfg.GatewayParameters[params].Spec.PodHeader, cfg.GatewayParameters[params].Spec.Network
	}
	header, network := effective(map[api.Part]snapshot.Hold{part: {Form: before.cfg.GatewayParameters[params]}})
	require.Equal(t, "x-before here", header+" "+network)
	header, network = effective(map[api.Part]snapshot.Hold{part: {}})
	require.Equal(t, " here", header+" "+network)
	one := Translate(after.cfg, nil)
	require.Same(t, one.gateways[edge("front")], Translate(after.cfg, one).gateways[edge("front")], "nothing is made again")
}

func TestSecretThatWasNeverAcceptedCostsItsListenerAlone(t *testing.T) {
	p, first := goodPicture(t)
	name := types.NamespacedName{Namespace: "edge", Name: "pair-1"}
	part := api.Part{ObjectRef: api.ObjectRef{Kind: "Secret", Namespace: "edge", Name: "pair-1"}}
	got := Translate(withObjects(p.cfg, map[api.Part]snapshot.Hold{part: {}}), first)
	told := false
	for _, problem := range got.Problems() {
		require.Contains(t, problem.Object.Name, "-1", "%s", problem)
		told = told || strings.Contains(problem.Message, "an Envoy rejects what is in Secret edge/pair-1")
	}
	require.True(t, told)
	other := p.cfg.Secrets[name].DeepCopy()
	same := withObjects(p.cfg, map[api.Part]snapshot.Hold{part: {Form: p.cfg.Secrets[name]}})
	same.Secrets[name] = other
	sameResources(t, first, Translate(same, got))
}

// TestHoldOfWhatHasGoneIsNothing for the object comes first.
func TestHoldOfWhatHasGoneIsNothing(t *testing.T) {
	p, _ := goodPicture(t)
	for name, route := range p.cfg.HTTPRoutes {
		without := withObjects(p.cfg, nil)
		delete(without.HTTPRoutes, name)
		held := withObjects(without, map[api.Part]snapshot.Hold{routePart(route): {Form: route}})
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
