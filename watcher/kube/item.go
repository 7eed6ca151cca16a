package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/podway/podway/api/pods"
	join "github.com/podway/podway/watcher/slices"
)

// item is an object reduced to what podway reads. A reflector holds a whole list of them while it synchronizes.
type item struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	// One of these is set.
	service *pods.Service
	slice   *join.Slice
	labels  join.LabelSet
}

// DeepCopyObject is for runtime.Object; an item does not change.
func (i *item) DeepCopyObject() runtime.Object { return i }

func (i *item) key() types.NamespacedName {
	return types.NamespacedName{Namespace: i.Namespace, Name: i.Name}
}

// reduce is a cache.TransformFunc: it makes an object an item, as soon as it is decoded.
func (s *source) reduce(object any) (any, error) {
	switch o := object.(type) {
	case *item:
		return o, nil
	case *corev1.Service:
		return &item{ObjectMeta: named(o), service: join.Service(s.session.config.Cluster, o)}, nil
	case *discoveryv1.EndpointSlice:
		return &item{ObjectMeta: named(o), slice: join.NewSlice(o)}, nil
	case *metav1.PartialObjectMetadata:
		out := &item{ObjectMeta: named(o), labels: join.LabelSetOf(o.Labels)}
		if out.labels == join.NoLabels {
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
	return &item{ObjectMeta: named(accessor)}, nil
}

func objectMeta(name types.NamespacedName) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}
}

func named(o metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName(), ResourceVersion: o.GetResourceVersion()}
}
