package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/podway/podway/api/pods"
	join "github.com/podway/podway/watcher/slices"
)

// item is an object reduced to what podway reads. A reflector holds a whole list of them while it synchronizes, so it has no metav1.ObjectMeta, which
// would be most of it.
type item struct {
	name types.NamespacedName
	// version is the object's resourceVersion, or a bookmark's.
	version string
	// listEnd is true for the bookmark that ends the list with which a watch begins.
	listEnd bool
	// One of these is set.
	service *pods.Service
	slice   *join.Slice
	labels  join.LabelSet
}

// DeepCopyObject is for runtime.Object; an item does not change.
func (i *item) DeepCopyObject() runtime.Object { return i }

// GetObjectKind is for runtime.Object.
func (i *item) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// GetObjectMeta is for metav1.ObjectMetaAccessor: it makes what a reflector reads of an object.
func (i *item) GetObjectMeta() metav1.Object {
	made := &metav1.ObjectMeta{Namespace: i.name.Namespace, Name: i.name.Name, ResourceVersion: i.version}
	if i.listEnd {
		made.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	return made
}

// reduce is a cache.TransformFunc: it makes an object an item, as soon as it is decoded.
func (s *source) reduce(object any) (any, error) {
	switch o := object.(type) {
	case *item:
		return o, nil
	case *corev1.Service:
		out := named(o)
		out.service = join.Service(s.session.config.Cluster, o)
		return out, nil
	case *discoveryv1.EndpointSlice:
		out := named(o)
		out.slice = join.NewSlice(o)
		return out, nil
	case *metav1.PartialObjectMetadata:
		out := named(o)
		if out.labels = join.LabelSetOf(o.Labels); out.labels == join.NoLabels {
			out.labels = join.LabelSetOf(map[string]string{})
		}
		return out, nil
	case cache.DeletedFinalStateUnknown:
		return s.reduce(o.Obj)
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, fmt.Errorf("the server sent a %T in a list of %s", object, s.resource)
	}
	return named(accessor), nil
}

// named is an item of an object, but for what it says.
func named(o metav1.Object) *item {
	return &item{
		name: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}, version: o.GetResourceVersion(),
		listEnd: o.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true",
	}
}
