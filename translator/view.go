package translator

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
)

// A view is what some Envoys of a Gateway have: all, or a minority of them. Here it has a name of the form of the Gateway's own.

func viewNamed(view string) types.NamespacedName {
	namespace, name, _ := strings.Cut(view, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// gatewayOf is the Gateway of a view.
func gatewayOf(view types.NamespacedName) types.NamespacedName {
	return types.NamespacedName{Namespace: view.Namespace, Name: api.GatewayOf(view.Name)}
}

func isMinority(view types.NamespacedName) bool { return gatewayOf(view) != view }

// viewsOf are the views of some Gateways, those of a minority after the one that it would have otherwise.
func (in *input) viewsOf(gateways []types.NamespacedName) []types.NamespacedName {
	if len(in.minorities) == 0 {
		return gateways
	}
	var views []types.NamespacedName
	for _, gateway := range gateways {
		views = append(append(views, gateway), in.minorities[gateway]...)
	}
	return views
}

// minoritiesOf are the views that are wanted of minorities, by Gateway, sorted.
func minoritiesOf(wanted map[string]struct{}) map[types.NamespacedName][]types.NamespacedName {
	views := make(map[types.NamespacedName][]types.NamespacedName, len(wanted))
	for name := range wanted {
		view := viewNamed(name)
		views[gatewayOf(view)] = append(views[gatewayOf(view)], view)
	}
	for _, some := range views {
		slices.SortFunc(some, api.CompareNames) // which is by length too, for one begins with the other
	}
	return views
}
