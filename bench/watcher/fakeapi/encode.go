package fakeapi

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	contentType = "application/vnd.kubernetes.protobuf"
	watchType   = contentType + ";stream=watch"
)

var (
	objects = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	raw     = protobuf.NewRawSerializer(scheme.Scheme, scheme.Scheme)
)

func text(version int64) string { return strconv.FormatInt(version, 10) }

func encode(object runtime.Object) []byte {
	var b bytes.Buffer
	if err := objects.Encode(object, &b); err != nil {
		panic(fmt.Sprintf("encoding a %T: %v", object, err)) // only for a type that has no protobuf form
	}
	return b.Bytes()
}

// frameOf is a watch event as it is sent.
func frameOf(kind string, object runtime.Object) []byte {
	var b bytes.Buffer
	event := &metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: encode(object)}}
	if err := raw.Encode(event, protobuf.LengthDelimitedFramer.NewFrameWriter(&b)); err != nil {
		panic(fmt.Sprintf("encoding an event: %v", err))
	}
	return b.Bytes()
}

func expired() *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusGone,
		Reason: metav1.StatusReasonExpired, Message: "too old resource version",
	}
}
