// Package snapshot holds one consistent picture of the configuration, as a
// watcher hands it to the translator. There is no format of podway's own in
// it: the objects are the API types.
package snapshot

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/v1alpha1"
)

// Config is an immutable picture. An object that did not change is the same
// pointer in the next picture, so that a translator can tell by comparing
// pointers; a map in which nothing changed is best the same map (SameMap). Objects have their defaults set. Older served versions of Gateway API kinds
// are held as v1.
type Config struct {
	Tunnels           map[types.NamespacedName]*v1alpha1.Tunnel
	MemberClusters    map[string]*v1alpha1.MemberCluster
	GatewayParameters map[types.NamespacedName]*v1alpha1.GatewayParameters
	GatewayClasses    map[string]*gatewayv1.GatewayClass
	Gateways          map[types.NamespacedName]*gatewayv1.Gateway
	HTTPRoutes        map[types.NamespacedName]*gatewayv1.HTTPRoute
	ReferenceGrants   map[types.NamespacedName]*gatewayv1.ReferenceGrant
	Namespaces        map[string]*corev1.Namespace
	Secrets           map[types.NamespacedName]*corev1.Secret
	ConfigMaps        map[types.NamespacedName]*corev1.ConfigMap

	// Services are those of all member clusters that have synced.
	Services map[pods.ServiceKey]*pods.Service
	// Synced says of which namespaces of each member cluster the Services are known. Anywhere else a missing Service means nothing.
	Synced map[string]*Scope

	// Problems are those that the source itself found: files that do not parse, objects that are refused.
	Problems []api.Problem
	// Origins says where each object was read. Objects from an API server have none.
	Origins map[api.ObjectRef]*Origin
	// Holds are the parts that Envoys rejected in the form that is above, and what is in force instead. Of a Tunnel, one with a Gateway
	// changes what its routes say of it, and one without, all else.
	Holds map[HoldKey]Hold
	// Minorities are the views that are wanted beside those of the Gateways themselves, as api.Minority names them: of what a Gateway's own view has,
	// they have some parts in another form, or in the same one until it is known which.
	Minorities map[string]struct{}
	// Now is when the picture was taken. The translator has no clock of its own; it compares certificates' dates with this.
	Now time.Time
}

// Objects is how many objects were read and are used.
func (c *Config) Objects() int {
	return len(c.Tunnels) + len(c.MemberClusters) + len(c.GatewayParameters) + len(c.GatewayClasses) + len(c.Gateways) +
		len(c.HTTPRoutes) + len(c.ReferenceGrants) + len(c.Namespaces) + len(c.Secrets) + len(c.ConfigMaps) + len(c.Services)
}

// Origin is the place of an object in a file.
type Origin struct {
	File string
	// Line counts from 1 and is where the object begins.
	Line int
	// Lines says where its fields are.
	Lines Lines
}

// Locate fills in File and Line of a problem from its object's origin: the
// line of the field, or else of its nearest parent that is there.
func (c *Config) Locate(p api.Problem) api.Problem {
	origin := c.Origins[p.Object]
	if origin == nil || p.File != "" {
		return p
	}
	p.File, p.Line = origin.File, origin.Line+origin.Lines.Of(p.Field)
	return p
}
