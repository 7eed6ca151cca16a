package holdback

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// The kinds that have parts that can be held back, beside podway's own.
const (
	kindHTTPRoute = "HTTPRoute"
	kindGateway   = "Gateway"
	kindSecret    = "Secret"
)

// formOf is the form that a part has in the configuration, its generation and the path of its field; nil where it is not there.
func formOf(cfg *snapshot.Config, part api.Part) (form any, generation int64, field string) {
	name := types.NamespacedName{Namespace: part.Namespace, Name: part.Name}
	switch part.Kind {
	case v1alpha1.KindTunnel:
		if object := cfg.Tunnels[name]; object != nil {
			return object, object.Generation, ""
		}
	case v1alpha1.KindGatewayParameters:
		if object := cfg.GatewayParameters[name]; object != nil {
			return object, object.Generation, ""
		}
	case kindHTTPRoute:
		if object := cfg.HTTPRoutes[name]; object != nil {
			return object, object.Generation, ""
		}
	case kindSecret:
		if object := cfg.Secrets[name]; object != nil {
			return object, object.Generation, ""
		}
	case kindGateway:
		if object := cfg.Gateways[name]; object != nil {
			for i := range object.Spec.Listeners {
				if listener := &object.Spec.Listeners[i]; string(listener.Name) == part.Listener {
					return listener, object.Generation, fmt.Sprintf("spec.listeners[%d]", i)
				}
			}
		}
	}
	return nil, 0, ""
}

// sameForm is true for two forms of one part that say the same. Files have no generation, and one goes up without
// the part having changed: what counts is what resources are made from.
func sameForm(a, b any) bool {
	if a == b {
		return true
	}
	if says := saysOf(a); says != nil {
		return equality.Semantic.DeepEqual(says, saysOf(b))
	}
	switch a := a.(type) {
	case *corev1.Secret:
		b, ok := b.(*corev1.Secret)
		return ok && a.Type == b.Type && equality.Semantic.DeepEqual(a.Data, b.Data)
	case *corev1.ConfigMap:
		b, ok := b.(*corev1.ConfigMap)
		return ok && equality.Semantic.DeepEqual(a.Data, b.Data)
	}
	return false
}

// saysOf points to what resources are made from of a form; nil for a Secret or ConfigMap, of which nothing is to be remembered.
func saysOf(form any) any {
	switch form := form.(type) {
	case *v1alpha1.Tunnel:
		return &form.Spec
	case *v1alpha1.GatewayParameters:
		return &form.Spec
	case *gatewayv1.HTTPRoute:
		return &form.Spec
	case *gatewayv1.Listener:
		return form
	}
	return nil
}

// sameSource is true where two sources of one part make the same of a resource.
func sameSource(a, b api.Source) bool {
	if a.Says != nil && b.Says != nil {
		return a.Says == b.Says
	}
	return sameForm(a.Form, b.Form)
}

// byPart are the sources of a resource by part. A part that is refused has a nil Form.
func byPart(sources []api.Source) map[api.Part]api.Source {
	parts := make(map[api.Part]api.Source, len(sources))
	for _, source := range sources {
		parts[source.Part] = source
	}
	return parts
}
