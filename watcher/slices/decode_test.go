package slices

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
)

var theirs = func() *protobuf.Serializer {
	scheme := runtime.NewScheme()
	if err := errors.Join(discoveryv1.AddToScheme(scheme), metav1.AddMetaToScheme(scheme)); err != nil {
		panic(err)
	}
	return protobuf.NewSerializer(scheme, scheme)
}()

// sent is a slice as an API server sends it.
func sent(tb testing.TB, slice *discoveryv1.EndpointSlice) []byte {
	tb.Helper()
	slice.TypeMeta = metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	return encoded(tb, slice)
}

// sentMetadata is the metadata of a Pod as an API server sends it.
func sentMetadata(tb testing.TB, metadata metav1.ObjectMeta) []byte {
	tb.Helper()
	return encoded(tb, &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}, ObjectMeta: metadata,
	})
}

func encoded(tb testing.TB, object runtime.Object) []byte {
	tb.Helper()
	var b bytes.Buffer
	require.NoError(tb, theirs.Encode(object, &b))
	return b.Bytes()
}

// anySlice is a slice as they may be, or nearly.
func anySlice(random *rand.Rand) *discoveryv1.EndpointSlice {
	maybe := func() bool { return random.IntN(3) == 0 }
	flag := func() *bool {
		if maybe() {
			return nil
		}
		b := maybe()
		return &b
	}
	text := func(words ...string) *string {
		if maybe() {
			return nil
		}
		return &words[random.IntN(len(words))]
	}
	out := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("web-%d", random.IntN(9)), UID: "uid", ResourceVersion: fmt.Sprint(random.Uint32()), Generation: 7,
			Labels:          map[string]string{"app": "web", discoveryv1.LabelServiceName: "web"},
			Annotations:     map[string]string{corev1.EndpointsLastChangeTriggerTime: "2026-05-01T10:00:00Z", "other": "thing"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Service", Name: "web"}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "m", Time: &metav1.Time{Time: time.Unix(1, 0)}, FieldsV1: metav1.NewFieldsV1(`{}`)}},
		},
		AddressType: []discoveryv1.AddressType{"IPv4", "IPv4", "IPv6", "FQDN"}[random.IntN(4)],
	}
	if maybe() {
		out.Labels, out.Annotations = nil, nil
	}
	for range random.IntN(3) {
		port := discoveryv1.EndpointPort{Name: text("http", "grpc", ""), AppProtocol: text("h2c")}
		if !maybe() {
			number := []int32{80, 8080, 0, -1, 70000}[random.IntN(5)]
			port.Port = &number
		}
		out.Ports = append(out.Ports, port)
	}
	for range random.IntN(6) {
		endpoint := discoveryv1.Endpoint{
			Conditions: discoveryv1.EndpointConditions{Ready: flag(), Serving: flag(), Terminating: flag()},
			Hostname:   text("h"), NodeName: text("n1", "n2"), Zone: text("z1", ""), DeprecatedTopology: map[string]string{"k": "v"},
			Hints: &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z1"}}},
		}
		for range random.IntN(3) {
			endpoint.Addresses = append(endpoint.Addresses, []string{"10.0.0.1", "10.0.0.2", "fd00::1", "::ffff:10.0.0.3", "no", "fe80::1%eth0", "0.0.0.0"}[random.IntN(7)])
		}
		if !maybe() {
			endpoint.TargetRef = &corev1.ObjectReference{
				Kind: []string{"Pod", "Node"}[random.IntN(2)], Namespace: []string{"", "shop", "other"}[random.IntN(3)],
				Name: fmt.Sprintf("web-%d", random.IntN(3)), UID: types.UID(fmt.Sprint(random.IntN(3))), FieldPath: "f",
			}
		}
		out.Endpoints = append(out.Endpoints, endpoint)
	}
	return out
}

func TestSlicesAreDecodedAsClientGoWould(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9))
	for range 2000 {
		slice := anySlice(random)
		message, ok := Decode(sent(t, slice))
		require.True(t, ok)
		name := types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name}
		require.Equal(t, Message{Name: name, Slice: NewSlice(slice), ResourceVersion: slice.ResourceVersion}, message)
	}
}

func TestMetadataIsDecodedAsClientGoWould(t *testing.T) {
	for _, labels := range []map[string]string{nil, {"app": "web"}, {"version": "v2", "app": "web", "empty": "", strings.Repeat("n", 300): strings.Repeat("v", 300)}} {
		metadata := anySlice(rand.New(rand.NewPCG(1, 1))).ObjectMeta
		metadata.Labels = labels
		message, ok := Decode(sentMetadata(t, metadata))
		require.True(t, ok)
		want := Message{Name: types.NamespacedName{Namespace: "shop", Name: metadata.Name}, ResourceVersion: metadata.ResourceVersion}
		want.Labels = LabelSetOf(maps.Clone(labels))
		if labels == nil {
			want.Labels = LabelSetOf(map[string]string{})
		}
		require.Equal(t, want, message)
		require.NotEqual(t, NoLabels, message.Labels)
	}
}

func TestTheEndOfAListIsDecoded(t *testing.T) {
	message, ok := Decode(sent(t, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		ResourceVersion: "7", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
	}}))
	require.True(t, ok)
	require.True(t, message.ListEnd)
	require.Equal(t, "7", message.ResourceVersion)
	message, ok = Decode(sentMetadata(t, metav1.ObjectMeta{ResourceVersion: "7", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}))
	require.True(t, ok)
	require.True(t, message.ListEnd)
	require.Equal(t, "7", message.ResourceVersion)
}

func TestOtherObjectsAreLeftToClientGo(t *testing.T) {
	whole := sent(t, anySlice(rand.New(rand.NewPCG(1, 1))))
	for name, data := range map[string][]byte{
		"empty": {}, "JSON": []byte(`{"kind":"EndpointSlice"}`),
		"another kind":    bytes.Replace(whole, []byte("EndpointSlice"), []byte("EndpointSlick"), 1),
		"another version": bytes.Replace(whole, []byte("discovery.k8s.io/v1"), []byte("discovery.k8s.io/v2"), 1),
		"cut short":       whole[:len(whole)-9],
		"metadata of another version": bytes.Replace(
			sentMetadata(t, metav1.ObjectMeta{Name: "web"}), []byte("meta.k8s.io/v1"), []byte("meta.k8s.io/v2"), 1),
	} {
		_, ok := Decode(data)
		require.False(t, ok, name)
	}
}

// What is kept of a message is no part of it: it would keep all of it.
func TestADecodedSliceKeepsNothingOfTheMessage(t *testing.T) {
	name := strings.Repeat("n", 100)
	address, ready := "10.0.0.1", int32(80)
	data := sent(t, &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(strings.Repeat(" ", 1<<20))}},
		},
		AddressType: "IPv4", Ports: []discoveryv1.EndpointPort{{Port: &ready}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: name, UID: "uid"}}},
	})
	var kept []*Slice
	before := heapBytes()
	for range 50 {
		message, ok := Decode(data)
		require.True(t, ok)
		kept = append(kept, message.Slice)
	}
	require.Less(t, heapBytes()-before, int64(4<<20), "a part of each would be 50 MiB")
	require.Len(t, kept, 50)
}

func TestDecodedMetadataKeepsNothingOfTheMessage(t *testing.T) {
	data := sentMetadata(t, metav1.ObjectMeta{
		Namespace: "shop", Name: strings.Repeat("n", 100), Labels: map[string]string{"app": "web"},
		ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(strings.Repeat(" ", 1<<20))}},
	})
	var kept []Message
	before := heapBytes()
	for range 50 {
		message, ok := Decode(data)
		require.True(t, ok)
		kept = append(kept, message)
	}
	require.Less(t, heapBytes()-before, int64(4<<20), "a part of each would be 50 MiB")
	require.Len(t, kept, 50)
}

func FuzzDecode(f *testing.F) {
	random := rand.New(rand.NewPCG(2, 3))
	for range 20 {
		f.Add(sent(f, anySlice(random)))
		f.Add(sentMetadata(f, anySlice(random).ObjectMeta))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		message, ok := Decode(data)
		if !ok {
			return // it is left to client-go
		}
		object, _, err := theirs.Decode(data, nil, nil)
		if err != nil {
			return // something is wrong with a field that is not read here
		}
		metadata, err := meta.Accessor(object)
		require.NoError(t, err)
		require.Equal(t, types.NamespacedName{Namespace: metadata.GetNamespace(), Name: metadata.GetName()}, message.Name)
		require.Equal(t, metadata.GetResourceVersion(), message.ResourceVersion)
		require.Equal(t, metadata.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true", message.ListEnd)
		if slice, ok := object.(*discoveryv1.EndpointSlice); ok {
			require.Equal(t, NewSlice(slice), message.Slice)
			return
		}
		require.Nil(t, message.Slice)
		labels := map[string]string{}
		maps.Copy(labels, metadata.GetLabels())
		require.Equal(t, LabelSetOf(labels), message.Labels)
	})
}

func BenchmarkDecode(b *testing.B) {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: "IPv4",
	}
	port, name, yes, node := int32(80), "http", true, "node-1"
	slice.Ports = []discoveryv1.EndpointPort{{Port: &port, Name: &name}}
	for i := range 10 {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.0.0.%d", i)}, Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes, Terminating: &yes},
			NodeName: &node, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: fmt.Sprintf("web-%d", i), UID: "00000000-0000-0000-0000-000000000000"},
		})
	}
	data := sent(b, slice)
	b.Run("podway", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Decode(data)
		}
	})
	b.Run("client-go", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			object, _, err := theirs.Decode(data, nil, nil)
			require.NoError(b, err)
			NewSlice(object.(*discoveryv1.EndpointSlice))
		}
	})
}

func heapBytes() int64 {
	goruntime.GC()
	var stats goruntime.MemStats
	goruntime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
