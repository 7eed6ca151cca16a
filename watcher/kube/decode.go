package kube

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	join "github.com/podway/podway/watcher/slices"
)

// lean is a serializer that decodes EndpointSlices and the metadata of Pods right into items where it can: they are nearly all that an API server has
// to say.
type lean struct{ runtime.NegotiatedSerializer }

// DecoderToVersion is for runtime.NegotiatedSerializer.
func (l lean) DecoderToVersion(of runtime.Decoder, version runtime.GroupVersioner) runtime.Decoder {
	return leanDecoder{l.NegotiatedSerializer.DecoderToVersion(of, version)}
}

type leanDecoder struct{ runtime.Decoder }

// Decode is for runtime.Decoder.
func (d leanDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if into == nil {
		if message, ok := join.Decode(data); ok {
			kind := discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice")
			if message.Slice == nil {
				kind = metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata")
			}
			return itemOf(message), &kind, nil
		}
	}
	return d.Decoder.Decode(data, defaults, into)
}

// itemOf makes an item of a message.
func itemOf(message join.Message) *item {
	return &item{name: message.Name, version: message.ResourceVersion, listEnd: message.ListEnd, slice: message.Slice, labels: message.Labels}
}
