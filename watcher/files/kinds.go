package files

import (
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// kind is a kind of object that the configuration may have.
type kind struct {
	group string
	// versions that are read; the first is the one that it is held as.
	versions   []string
	name       string
	namespaced bool
	// labelName is true where a name has no dots.
	labelName bool
	// secret keeps values out of messages.
	secret bool
	typ    reflect.Type
	// finish sets defaults and says what is wrong; nil where there is neither.
	finish func(metav1.Object) []api.Problem
	// put adds an object to a picture.
	put func(*snapshot.Config, metav1.Object)
}

const (
	gatewayGroup = gatewayv1.GroupName
	kindList     = "List"
)

var (
	podwayVersions  = []string{"v1alpha1"}
	gatewayVersions = []string{"v1", "v1beta1"}
	coreVersions    = []string{"v1"}
)

// kinds are those of the configuration.
var kinds = []*kind{
	{
		group: v1alpha1.Group, versions: podwayVersions, name: v1alpha1.KindTunnel, namespaced: true, typ: reflect.TypeFor[v1alpha1.Tunnel](),
		finish: finish, put: func(c *snapshot.Config, o metav1.Object) { c.Tunnels[nameOf(o)] = o.(*v1alpha1.Tunnel) },
	},
	{
		group: v1alpha1.Group, versions: podwayVersions, name: v1alpha1.KindMemberCluster, typ: reflect.TypeFor[v1alpha1.MemberCluster](),
		finish: finish, put: func(c *snapshot.Config, o metav1.Object) { c.MemberClusters[o.GetName()] = o.(*v1alpha1.MemberCluster) },
	},
	{
		group: v1alpha1.Group, versions: podwayVersions, name: v1alpha1.KindGatewayParameters, namespaced: true, typ: reflect.TypeFor[v1alpha1.GatewayParameters](),
		finish: finish, put: func(c *snapshot.Config, o metav1.Object) {
			c.GatewayParameters[nameOf(o)] = o.(*v1alpha1.GatewayParameters)
		},
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "GatewayClass", typ: reflect.TypeFor[gatewayv1.GatewayClass](),
		put: func(c *snapshot.Config, o metav1.Object) { c.GatewayClasses[o.GetName()] = o.(*gatewayv1.GatewayClass) },
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "Gateway", namespaced: true, typ: reflect.TypeFor[gatewayv1.Gateway](),
		put: func(c *snapshot.Config, o metav1.Object) { c.Gateways[nameOf(o)] = o.(*gatewayv1.Gateway) },
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "HTTPRoute", namespaced: true, typ: reflect.TypeFor[gatewayv1.HTTPRoute](),
		put: func(c *snapshot.Config, o metav1.Object) { c.HTTPRoutes[nameOf(o)] = o.(*gatewayv1.HTTPRoute) },
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "ReferenceGrant", namespaced: true, typ: reflect.TypeFor[gatewayv1.ReferenceGrant](),
		put: func(c *snapshot.Config, o metav1.Object) {
			c.ReferenceGrants[nameOf(o)] = o.(*gatewayv1.ReferenceGrant)
		},
	},
	{
		versions: coreVersions, name: "Namespace", labelName: true, typ: reflect.TypeFor[corev1.Namespace](),
		finish: finishNamespace, put: func(c *snapshot.Config, o metav1.Object) { c.Namespaces[o.GetName()] = o.(*corev1.Namespace) },
	},
	{
		versions: coreVersions, name: "Secret", namespaced: true, secret: true, typ: reflect.TypeFor[corev1.Secret](),
		finish: finishSecret, put: func(c *snapshot.Config, o metav1.Object) { c.Secrets[nameOf(o)] = o.(*corev1.Secret) },
	},
	{
		versions: coreVersions, name: "ConfigMap", namespaced: true, typ: reflect.TypeFor[corev1.ConfigMap](),
		put: func(c *snapshot.Config, o metav1.Object) { c.ConfigMaps[nameOf(o)] = o.(*corev1.ConfigMap) },
	},
}

func nameOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// apiVersion is that of a group and a version.
func apiVersion(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}

// kindNamed finds the kind of that name, in whichever group.
func kindNamed(name string) *kind {
	if i := slices.IndexFunc(kinds, func(k *kind) bool { return k.name == name }); i >= 0 {
		return kinds[i]
	}
	return nil
}

func kindNames() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// finish is for podway's own kinds.
func finish(o metav1.Object) []api.Problem {
	own := o.(interface {
		SetDefaults()
		Validate() []api.Problem
	})
	own.SetDefaults()
	return own.Validate()
}

// finishNamespace adds the label that every API server sets.
func finishNamespace(o metav1.Object) []api.Problem {
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[corev1.LabelMetadataName] = o.GetName()
	o.SetLabels(labels)
	return nil
}

// finishSecret moves stringData into data, as an API server does.
func finishSecret(o metav1.Object) []api.Problem {
	secret := o.(*corev1.Secret)
	if len(secret.StringData) > 0 && secret.Data == nil {
		secret.Data = make(map[string][]byte, len(secret.StringData))
	}
	for key, value := range secret.StringData {
		secret.Data[key] = []byte(value)
	}
	secret.StringData = nil
	if secret.Type == "" {
		secret.Type = corev1.SecretTypeOpaque
	}
	return nil
}
