package translator

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// front is the translation of one view of a Gateway.
type front struct {
	in         *input
	gateway    *gatewayv1.Gateway
	name, view types.NamespacedName
	params     v1alpha1.GatewayParametersSpec
	// parameters is the object with params; nil where the defaults are in force.
	parameters *v1alpha1.GatewayParameters
	problems   []api.Problem
	resources  map[api.ResourceKey]*api.Resource
	tunnels    map[types.NamespacedName]bool
	// old are the resources of before, and own, of a minority, those of the Gateway itself: they are taken where what is made is the same.
	old, own map[api.ResourceKey]*api.Resource
	attached map[string]int
	// routes are those that name the Gateway, by name.
	routes []*gatewayv1.HTTPRoute
}

// planGateways translates every Gateway whose class is podway's. The problems
// are those of Gateways that belong to no plan.
func planGateways(in *input) (map[types.NamespacedName]*gatewayPlan, []api.Problem) {
	plans := map[types.NamespacedName]*gatewayPlan{}
	var problems []api.Problem
	for _, name := range sortedNames(in.cfg.Gateways) {
		gateway := in.cfg.Gateways[name]
		class := in.cfg.GatewayClasses[string(gateway.Spec.GatewayClassName)]
		if class == nil {
			problems = append(problems, problemOf(gatewayRef(name), gateway.Generation, codeUnknownGatewayClass, "spec.gatewayClassName",
				fmt.Sprintf("there is no GatewayClass %q", gateway.Spec.GatewayClassName),
				"add a GatewayClass of that name with controllerName "+v1alpha1.ControllerName+", or name another"))
			continue
		}
		if class.Spec.ControllerName != v1alpha1.ControllerName {
			continue
		}
		for _, view := range in.viewsOf([]types.NamespacedName{name}) {
			f := &front{
				in: in, gateway: in.gatewayAt(view), name: name, view: view,
				resources: map[api.ResourceKey]*api.Resource{}, tunnels: map[types.NamespacedName]bool{},
				attached: map[string]int{}, routes: in.routes[view],
			}
			plans[view] = f.planned(class, in.prev.gateways[view], plans[name])
		}
	}
	return plans, problems
}

// planned is the plan of before as far as what it was made from is the same, else a new one. own is the Gateway's own plan, nil for itself.
func (f *front) planned(class *gatewayv1.GatewayClass, old, own *gatewayPlan) *gatewayPlan {
	inputs, routeInputs := f.inputs(class), sync.OnceValue(f.routeInputs)
	if old != nil && slices.Equal(old.inputs, inputs) && (f.in.routingStays || slices.Equal(old.routeInputs, routeInputs())) {
		if touched, small := f.touched(old); small {
			return old.with(touched)
		}
	}
	f.old, f.own = old.byKey(), own.byKey()
	plan := f.plan(class)
	plan.inputs, plan.routeInputs, plan.named = inputs, routeInputs(), f.namedTunnels()
	return plan
}

// byKey are the resources of a plan, which may be nil.
func (g *gatewayPlan) byKey() map[api.ResourceKey]*api.Resource {
	if g == nil {
		return nil
	}
	byKey := make(map[api.ResourceKey]*api.Resource, len(g.resources))
	for _, resource := range g.resources {
		byKey[resource.ResourceKey] = resource
	}
	return byKey
}

func (f *front) plan(class *gatewayv1.GatewayClass) *gatewayPlan {
	f.readParameters(class)
	f.refuseUnsupported()
	listeners := f.readListeners()
	f.attachRoutes(listeners)
	f.buildListeners(listeners)
	f.addTunnels()
	plan := &gatewayPlan{problems: f.problems, attached: f.attached}
	for _, resource := range f.resources {
		plan.resources = append(plan.resources, resource)
	}
	slices.SortFunc(plan.resources, func(a, b *api.Resource) int { return a.Compare(b.ResourceKey) })
	plan.tunnels = sortedNames(f.tunnels)
	return plan
}

// readParameters finds the Gateway's own GatewayParameters, or its class's.
// With a reference that leads nowhere the defaults are in force: a Gateway that
// stops serving because of a typing error would cost more than a missing setting.
func (f *front) readParameters(class *gatewayv1.GatewayClass) {
	target, group, kind := f.parametersTarget(class)
	if target.Name == "" {
		return
	}
	object, generation, field := gatewayRef(f.name), f.gateway.Generation, "spec.infrastructure.parametersRef"
	if infra := f.gateway.Spec.Infrastructure; infra == nil || infra.ParametersRef == nil {
		object, generation, field = api.ObjectRef{Group: gatewayv1.GroupName, Kind: "GatewayClass", Name: class.Name}, class.Generation, "spec.parametersRef"
	}
	if group != v1alpha1.Group || kind != v1alpha1.KindGatewayParameters {
		f.problems = append(f.problems, problemOf(object, generation, codeInvalidReference, field,
			fmt.Sprintf("parameters of kind %s/%s are not podway's; the defaults are in force", group, kind),
			"name a GatewayParameters of group "+v1alpha1.Group))
		return
	}
	params := f.parametersAt(target)
	if params == nil {
		f.problems = append(f.problems, problemOf(object, generation, codeMissingGatewayParameters, field,
			fmt.Sprintf("there is no GatewayParameters %s; the defaults are in force", target), "add it, or correct the name"))
		return
	}
	f.params, f.parameters = params.Spec, params
}

// parametersTarget is what the Gateway, or else its class, names as its parameters; an empty name where neither does.
func (f *front) parametersTarget(class *gatewayv1.GatewayClass) (target types.NamespacedName, group, kind string) {
	if infra := f.gateway.Spec.Infrastructure; infra != nil && infra.ParametersRef != nil {
		ref := infra.ParametersRef
		return types.NamespacedName{Namespace: f.name.Namespace, Name: ref.Name}, string(ref.Group), string(ref.Kind)
	}
	if ref := class.Spec.ParametersRef; ref != nil {
		return types.NamespacedName{Namespace: string(orDefault(ref.Namespace, "")), Name: ref.Name}, string(ref.Group), string(ref.Kind)
	}
	return types.NamespacedName{}, "", ""
}

// refuseUnsupported tells of fields of the Gateway that have no effect here.
func (f *front) refuseUnsupported() {
	spec := &f.gateway.Spec
	if len(spec.Addresses) > 0 {
		f.problem(codeUnsupported, "spec.addresses", "podway does not give addresses to Envoys",
			"remove it, and set listenAddress in the GatewayParameters where the Envoys should bind to one address")
	}
	if spec.TLS != nil && spec.TLS.Backend != nil {
		f.problem(codeUnsupported, "spec.tls.backend", "a client certificate for all backends is not supported yet",
			"set tls.clientCertificateRef in each Tunnel")
	}
	if spec.AllowedListeners != nil {
		f.problem(codeUnsupported, "spec.allowedListeners", "ListenerSets are not supported yet", "put the listeners into the Gateway")
	}
}

func (f *front) problem(code, field, message, remedy string) {
	f.problems = append(f.problems, problemOf(gatewayRef(f.name), f.gateway.Generation, code, field, message, remedy))
}

// add keeps the pointer of the translation before where nothing changed.
func (f *front) add(key api.ResourceKey, message proto.Message, needs []api.ResourceKey, owners []api.Owner, sources []api.Source) {
	slices.SortFunc(needs, api.ResourceKey.Compare)
	made := &api.Resource{ResourceKey: key, Message: message, Needs: slices.Compact(needs), Owners: owners, Sources: sources}
	f.resources[key] = keep(f.own[key], keep(f.old[key], made))
}

// addTunnels adds the clusters of the tunnels that the routes use, and their secrets.
func (f *front) addTunnels() {
	for name := range f.tunnels {
		plan := f.in.tunnels[name]
		f.resources[plan.cluster.ResourceKey] = plan.cluster
		for _, secret := range plan.secrets {
			f.resources[secret.ResourceKey] = secret
		}
	}
}

func (f *front) owner() api.Owner {
	return api.Owner{ObjectRef: gatewayRef(f.name), Generation: f.gateway.Generation}
}

func gatewayRef(name types.NamespacedName) api.ObjectRef {
	return api.ObjectRef{Group: gatewayv1.GroupName, Kind: "Gateway", Namespace: name.Namespace, Name: name.Name}
}

func problemOf(object api.ObjectRef, generation int64, code, field, message, remedy string) api.Problem {
	return api.Problem{Code: code, Severity: api.Error, Object: object, Generation: generation, Field: field, Message: message, Remedy: remedy}
}

func sortedNames[V any](m map[types.NamespacedName]V) []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(m), api.CompareNames)
}
