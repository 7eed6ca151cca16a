package files

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pki"
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
	// worse says what is wrong with an object that was good before; nil where nothing is that finish does not say.
	worse func(before, after metav1.Object) []api.Problem
	// objects are where a picture has them.
	objects collection
}

// collection is where a picture has the objects of a kind.
type collection interface {
	put(*snapshot.Config, api.ObjectRef, metav1.Object)
	remove(*snapshot.Config, api.ObjectRef)
	// clone gives the picture a map of its own of them.
	clone(*snapshot.Config)
}

// mapped are objects in a map of a picture.
type mapped[K comparable, T any] struct {
	key func(api.ObjectRef) K
	of  func(*snapshot.Config) *map[K]*T
}

func (m mapped[K, T]) put(c *snapshot.Config, ref api.ObjectRef, o metav1.Object) {
	(*m.of(c))[m.key(ref)] = any(o).(*T)
}

func (m mapped[K, T]) remove(c *snapshot.Config, ref api.ObjectRef) { delete(*m.of(c), m.key(ref)) }

func (m mapped[K, T]) clone(c *snapshot.Config) { *m.of(c) = maps.Clone(*m.of(c)) }

func byNamespaceAndName[T any](of func(*snapshot.Config) *map[types.NamespacedName]*T) collection {
	return mapped[types.NamespacedName, T]{of: of, key: func(ref api.ObjectRef) types.NamespacedName {
		return types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	}}
}

func byName[T any](of func(*snapshot.Config) *map[string]*T) collection {
	return mapped[string, T]{of: of, key: func(ref api.ObjectRef) string { return ref.Name }}
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
		finish: finish, objects: byNamespaceAndName(func(c *snapshot.Config) *map[types.NamespacedName]*v1alpha1.Tunnel { return &c.Tunnels }),
	},
	{
		group: v1alpha1.Group, versions: podwayVersions, name: v1alpha1.KindMemberCluster, typ: reflect.TypeFor[v1alpha1.MemberCluster](),
		finish: finish, objects: byName(func(c *snapshot.Config) *map[string]*v1alpha1.MemberCluster { return &c.MemberClusters }),
	},
	{
		group: v1alpha1.Group, versions: podwayVersions, name: v1alpha1.KindGatewayParameters, namespaced: true, typ: reflect.TypeFor[v1alpha1.GatewayParameters](),
		finish: finish, objects: byNamespaceAndName(func(c *snapshot.Config) *map[types.NamespacedName]*v1alpha1.GatewayParameters {
			return &c.GatewayParameters
		}),
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "GatewayClass", typ: reflect.TypeFor[gatewayv1.GatewayClass](),
		objects: byName(func(c *snapshot.Config) *map[string]*gatewayv1.GatewayClass { return &c.GatewayClasses }),
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "Gateway", namespaced: true, typ: reflect.TypeFor[gatewayv1.Gateway](),
		objects: byNamespaceAndName(func(c *snapshot.Config) *map[types.NamespacedName]*gatewayv1.Gateway { return &c.Gateways }),
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "HTTPRoute", namespaced: true, typ: reflect.TypeFor[gatewayv1.HTTPRoute](),
		objects: byNamespaceAndName(func(c *snapshot.Config) *map[types.NamespacedName]*gatewayv1.HTTPRoute { return &c.HTTPRoutes }),
	},
	{
		group: gatewayGroup, versions: gatewayVersions, name: "ReferenceGrant", namespaced: true, typ: reflect.TypeFor[gatewayv1.ReferenceGrant](),
		objects: byNamespaceAndName(func(c *snapshot.Config) *map[types.NamespacedName]*gatewayv1.ReferenceGrant {
			return &c.ReferenceGrants
		}),
	},
	{
		versions: coreVersions, name: "Namespace", labelName: true, typ: reflect.TypeFor[corev1.Namespace](),
		finish: finishNamespace, objects: byName(func(c *snapshot.Config) *map[string]*corev1.Namespace { return &c.Namespaces }),
	},
	{
		versions: coreVersions, name: "Secret", namespaced: true, secret: true, typ: reflect.TypeFor[corev1.Secret](),
		finish: finishSecret, worse: worse, objects: byNamespaceAndName(func(c *snapshot.Config) *map[types.NamespacedName]*corev1.Secret { return &c.Secrets }),
	},
	{
		versions: coreVersions, name: "ConfigMap", namespaced: true, typ: reflect.TypeFor[corev1.ConfigMap](),
		worse: worse, objects: byNamespaceAndName(func(c *snapshot.Config) *map[types.NamespacedName]*corev1.ConfigMap { return &c.ConfigMaps }),
	},
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

// worse is for certificates and keys. What is wrong with those that never were good is for the translator to tell, where something refers to them:
// it may be for others.
func worse(before, after metav1.Object) []api.Problem {
	fault := pki.Worse(before, after)
	if fault == nil {
		return nil
	}
	field := ""
	if fault.Key != "" {
		field = "data[" + fault.Key + "]"
	}
	message := strings.TrimLeft(fault.Message, ":, ")
	if strings.HasPrefix(fault.Message, " ") {
		message = "it " + message
	}
	return []api.Problem{{Code: fault.Code, Severity: api.Error, Field: field, Message: message, Remedy: fault.Remedy}}
}
