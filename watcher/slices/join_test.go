package slices

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

func service(families ...corev1.IPFamily) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "httpbin"},
		Spec:       corev1.ServiceSpec{IPFamilies: families},
	}
}

// slice makes an IPv4 EndpointSlice with the port http at 8080.
func slice(name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "httpbin"},
		},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints, Ports: ports("http", 8080),
	}
}

func ports(name string, number int32) []discoveryv1.EndpointPort {
	return []discoveryv1.EndpointPort{{Name: &name, Port: &number}}
}

func slice6(name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	out := slice(name, endpoints...)
	out.AddressType = discoveryv1.AddressTypeIPv6
	return out
}

// pod makes an endpoint of a Pod whose UID is its name with "uid-" before it.
func pod(name, address string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		Addresses: []string{address},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
	}
}

func conditions(e discoveryv1.Endpoint, ready, serving, terminating *bool) discoveryv1.Endpoint {
	e.Conditions = discoveryv1.EndpointConditions{Ready: ready, Serving: serving, Terminating: terminating}
	return e
}

var yes, no = ptr(true), ptr(false)

func ptr[T any](v T) *T { return &v }

func compact(in ...*discoveryv1.EndpointSlice) []*Slice {
	out := make([]*Slice, len(in))
	for i := range in {
		out[i] = NewSlice(in[i])
	}
	return out
}

// lines says what a set holds, a line for each Pod.
func lines(set *pods.Set) []string {
	var out []string
	for _, p := range set.Pods {
		flags := ""
		for _, f := range []struct {
			on   bool
			name string
		}{{p.Ready, " ready"}, {p.Serving, " serving"}, {p.Terminating, " terminating"}} {
			if f.on {
				flags += f.name
			}
		}
		out = append(out, fmt.Sprintf("%s/%s %s %v%s", p.Namespace, p.Name(), p.Address, p.Ports, flags))
	}
	return out
}

func TestJoin(t *testing.T) {
	for _, test := range []struct {
		name    string
		service *corev1.Service
		slices  []*discoveryv1.EndpointSlice
		want    []string
	}{
		{name: "no slices"},
		{
			name:   "sorted by name",
			slices: []*discoveryv1.EndpointSlice{slice("2", pod("b", "10.0.0.2")), slice("1", pod("c", "10.0.0.3"), pod("a", "10.0.0.1"))},
			want: []string{
				"default/a 10.0.0.1 [{http 8080}] ready serving", "default/b 10.0.0.2 [{http 8080}] ready serving", "default/c 10.0.0.3 [{http 8080}] ready serving",
			},
		},
		{
			name: "conditions and their defaults",
			slices: []*discoveryv1.EndpointSlice{slice("1",
				conditions(pod("a", "10.0.0.1"), nil, nil, nil), conditions(pod("b", "10.0.0.2"), no, nil, nil),
				conditions(pod("c", "10.0.0.3"), no, yes, yes), conditions(pod("d", "10.0.0.4"), yes, no, no),
			)},
			want: []string{
				"default/a 10.0.0.1 [{http 8080}] ready serving", "default/b 10.0.0.2 [{http 8080}]",
				"default/c 10.0.0.3 [{http 8080}] serving terminating", "default/d 10.0.0.4 [{http 8080}] ready",
			},
		},
		{
			name:   "dual stack: the Service's first family",
			slices: []*discoveryv1.EndpointSlice{slice("4", pod("a", "10.0.0.1")), slice6("6", pod("a", "2001:db8::1"))}, service: service(corev1.IPv6Protocol, corev1.IPv4Protocol),
			want: []string{"default/a 2001:db8::1 [{http 8080}] ready serving"},
		},
		{
			name:   "dual stack: IPv4 where the Service names none",
			slices: []*discoveryv1.EndpointSlice{slice6("6", pod("a", "2001:db8::1")), slice("4", pod("a", "10.0.0.1"))},
			want:   []string{"default/a 10.0.0.1 [{http 8080}] ready serving"},
		},
		{
			name:   "a Pod that has the other family alone",
			slices: []*discoveryv1.EndpointSlice{slice6("6", pod("a", "2001:db8::1")), slice("4", pod("b", "10.0.0.1"))},
			want:   []string{"default/a 2001:db8::1 [{http 8080}] ready serving", "default/b 10.0.0.1 [{http 8080}] ready serving"},
		},
		{
			name:   "only the first address of an endpoint counts",
			slices: []*discoveryv1.EndpointSlice{slice("1", discoveryv1.Endpoint{Addresses: []string{"10.0.0.1", "10.0.0.2"}}, discoveryv1.Endpoint{})},
			want:   []string{"default/ 10.0.0.1 [{http 8080}] ready serving"},
		},
		{
			name: "FQDN slices are left out",
			slices: []*discoveryv1.EndpointSlice{{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, AddressType: discoveryv1.AddressTypeFQDN, Ports: ports("http", 80),
				Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"example.com"}}},
			}},
		},
		{
			name:   "addresses that are none are left out",
			slices: []*discoveryv1.EndpointSlice{slice("1", pod("a", "nonsense"), pod("b", "0.0.0.0"), pod("c", "fe80::1%eth0"))},
		},
		{
			name: "a Pod that moves between slices appears once, the ready way",
			slices: []*discoveryv1.EndpointSlice{
				slice("1", conditions(pod("a", "10.0.0.1"), no, nil, nil)), slice("2", pod("a", "10.0.0.1")),
			},
			want: []string{"default/a 10.0.0.1 [{http 8080}] ready serving"},
		},
		{
			name: "two Pods of one name are two",
			slices: []*discoveryv1.EndpointSlice{slice("1", pod("a", "10.0.0.1"), func() discoveryv1.Endpoint {
				e := conditions(pod("a", "10.0.0.2"), no, yes, yes)
				e.TargetRef.UID = "another"
				return e
			}())},
			want: []string{"default/a 10.0.0.1 [{http 8080}] ready serving", "default/a 10.0.0.2 [{http 8080}] serving terminating"},
		},
		{
			name:   "no targetRef: an address appears once, of one family",
			slices: []*discoveryv1.EndpointSlice{slice("1", discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}}), slice("2", discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}}), slice6("6", discoveryv1.Endpoint{Addresses: []string{"2001:db8::1"}})},
			want:   []string{"default/ 192.0.2.1 [{http 8080}] ready serving"},
		},
		{
			name: "no targetRef: several servers of one address",
			slices: []*discoveryv1.EndpointSlice{
				slice("1", discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}}), slice("2", discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}}), func() *discoveryv1.EndpointSlice {
					s := slice("3", discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}})
					s.Ports = ports("http", 9090)
					return s
				}(),
			},
			want: []string{"default/ 192.0.2.1 [{http 8080}] ready serving", "default/ 192.0.2.1 [{http 9090}] ready serving"},
		},
		{
			name:   "no targetRef: the other family where there is no first",
			slices: []*discoveryv1.EndpointSlice{slice6("6", discoveryv1.Endpoint{Addresses: []string{"2001:db8::1"}})},
			want:   []string{"default/ 2001:db8::1 [{http 8080}] ready serving"},
		},
		{
			name:   "a targetRef that is no Pod counts as none",
			slices: []*discoveryv1.EndpointSlice{slice("1", discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}, TargetRef: &corev1.ObjectReference{Kind: "Node", Name: "n"}})},
			want:   []string{"default/ 192.0.2.1 [{http 8080}] ready serving"},
		},
		{
			name: "target ports that differ between Pods",
			slices: []*discoveryv1.EndpointSlice{slice("1", pod("a", "10.0.0.1")), func() *discoveryv1.EndpointSlice {
				s := slice("2", pod("b", "10.0.0.2"))
				s.Ports = ports("http", 9090)
				return s
			}()},
			want: []string{"default/a 10.0.0.1 [{http 8080}] ready serving", "default/b 10.0.0.2 [{http 9090}] ready serving"},
		},
		{
			name: "one Pod in two slices with different port names is there for each",
			slices: []*discoveryv1.EndpointSlice{slice("1", pod("a", "10.0.0.1")), func() *discoveryv1.EndpointSlice {
				s := slice("2", pod("a", "10.0.0.1"))
				s.Ports = ports("grpc", 9090)
				return s
			}()},
			want: []string{"default/a 10.0.0.1 [{grpc 9090}] ready serving", "default/a 10.0.0.1 [{http 8080}] ready serving"},
		},
		{
			name: "ports without a number, and slices without ports",
			slices: []*discoveryv1.EndpointSlice{func() *discoveryv1.EndpointSlice {
				s := slice("1", pod("a", "10.0.0.1"))
				s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: ptr("all")})
				return s
			}(), func() *discoveryv1.EndpointSlice {
				s := slice("2", pod("b", "10.0.0.2"))
				s.Ports = nil
				return s
			}()},
			want: []string{"default/a 10.0.0.1 [{http 8080}] ready serving"},
		},
		{
			name:    "a Service of type ExternalName has no Pods",
			service: &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName}},
			slices:  []*discoveryv1.EndpointSlice{slice("1", pod("a", "10.0.0.1"))},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.service == nil {
				test.service = service()
			}
			var j Joiner
			for range 10 {
				rand.Shuffle(len(test.slices), func(a, b int) { test.slices[a], test.slices[b] = test.slices[b], test.slices[a] })
				require.Equal(t, test.want, lines(j.Join(Service("east", test.service), compact(test.slices...), nil)))
			}
		})
	}
}

func TestJoinFillsInAllOfAPod(t *testing.T) {
	endpoint := pod("a", "10.0.0.1")
	endpoint.NodeName, endpoint.Zone = ptr("node-1"), ptr("zone-1")
	labels := func(name types.NamespacedName) map[string]string {
		require.Equal(t, types.NamespacedName{Namespace: "default", Name: "a"}, name)
		return map[string]string{"version": "v2"}
	}
	var j Joiner
	got := j.Join(Service("east", service()), compact(slice("1", endpoint, discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}})), labels)
	require.Equal(t, pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "httpbin"}, got.Key)
	want := []pods.Pod{{Group: &pods.Group{}}, {
		Group: &pods.Group{Namespace: "default", Ports: []pods.Port{{Name: "http", Number: 8080}}, Labels: map[string]string{"version": "v2"}},
		UID:   pods.UIDOf("uid-a"), Place: pods.PlaceOf("node-1", "zone-1"), Address: pods.AddressOf(netip.MustParseAddr("10.0.0.1")), Ready: true, Serving: true,
	}}
	pods.GiveNames(want, []string{"", "a"})
	require.Equal(t, want[1], got.Pods[1])
	require.Nil(t, got.Pods[0].Labels)
}

func TestJoinLeavesAloneWhatItMadeBefore(t *testing.T) {
	var j Joiner
	got := j.Join(Service("east", service()), compact(slice("1", pod("a", "10.0.0.1")), slice("2", pod("b", "10.0.0.2"))), nil)
	other := slice("1", pod("x", "10.0.0.9"))
	other.Ports = ports("http", 1)
	before := lines(got)
	j.Join(Service("east", service()), compact(other), nil)
	require.Equal(t, before, lines(got))
}

func TestService(t *testing.T) {
	in := service()
	in.Spec.Selector = map[string]string{"app": "httpbin"}
	in.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80, AppProtocol: ptr("kubernetes.io/h2c")}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}
	got := Service("east", in)
	require.Equal(t, &pods.Service{
		Key: pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "httpbin"}, Selector: []pods.Label{{Name: "app", Value: "httpbin"}},
		Ports: []pods.ServicePort{{Name: "http", Port: 80, Protocol: "TCP", AppProtocol: "kubernetes.io/h2c"}, {Name: "dns", Port: 53, Protocol: "UDP"}},
	}, got)
	require.True(t, EqualServices(got, Service("east", in)))
	require.False(t, EqualServices(got, Service("west", in)))
	require.False(t, EqualServices(got, nil))
}

func TestEqualSets(t *testing.T) {
	var j Joiner
	join := func(e discoveryv1.Endpoint) *pods.Set {
		return j.Join(Service("east", service()), compact(slice("1", e)), nil)
	}
	a := join(pod("a", "10.0.0.1"))
	require.True(t, EqualSets(a, join(pod("a", "10.0.0.1"))))
	require.False(t, EqualSets(a, join(pod("a", "10.0.0.2"))))
	require.False(t, EqualSets(a, join(conditions(pod("a", "10.0.0.1"), yes, yes, yes))))
	require.False(t, EqualSets(a, nil))
}

func TestSliceSaysWhichServiceItIsOf(t *testing.T) {
	name, ok := NewSlice(slice("1")).Of()
	require.True(t, ok)
	require.Equal(t, types.NamespacedName{Namespace: "default", Name: "httpbin"}, name)
	_, ok = NewSlice(&discoveryv1.EndpointSlice{}).Of()
	require.False(t, ok)
	_, ok = (*Slice)(nil).Of()
	require.False(t, ok)
}

func BenchmarkJoin1000Pods(b *testing.B) {
	var in []*discoveryv1.EndpointSlice
	for s := range 10 {
		one := slice(fmt.Sprint(s))
		for p := range 100 {
			one.Endpoints = append(one.Endpoints, pod(fmt.Sprintf("httpbin-%d-%d", s, p), fmt.Sprintf("10.0.%d.%d", s, p)))
		}
		in = append(in, one)
	}
	var j Joiner
	joined, compacted := Service("east", service()), compact(in...)
	for b.Loop() {
		j.Join(joined, compacted, nil)
	}
}

func TestPodsWithTheSameLabelsHaveOneGroup(t *testing.T) {
	one, other := map[string]string{"version": "v1"}, map[string]string{"version": "v2"}
	of := map[string]map[string]string{"a": one, "b": other, "c": one}
	labels := func(name types.NamespacedName) map[string]string { return of[name.Name] }
	in := compact(slice("1", pod("a", "10.0.0.1"), pod("b", "10.0.0.2"), pod("c", "10.0.0.3"), pod("d", "10.0.0.4")))
	var j Joiner
	got := j.Join(Service("east", service()), in, labels).Pods
	require.Same(t, got[0].Group, got[2].Group)
	require.Equal(t, []map[string]string{one, other, one, nil}, []map[string]string{got[0].Labels, got[1].Labels, got[2].Labels, got[3].Labels})
	require.Nil(t, in[0].Pods[0].Labels, "the slice's own Pods stay as they were")
	require.NotSame(t, got[0].Group, j.Join(Service("east", service()), in, labels).Pods[0].Group, "what one Join made is not kept for the next")
}

// BenchmarkChange changes one Pod of a Service with 10,000 of them in 100 slices. Once it took 5 ms, with 100 ports as with one.
func BenchmarkChange(b *testing.B) {
	for _, ports := range []int{1, 100} {
		b.Run(fmt.Sprint(ports, " ports"), func(b *testing.B) {
			index, name := NewIndex("east"), types.NamespacedName{Namespace: "shop", Name: "web"}
			index.PutService(name, Service("east", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}), time.Time{})
			put := func(i int, ready bool) {
				slice := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, ObjectMeta: metav1.ObjectMeta{
					Namespace: name.Namespace, Name: fmt.Sprint("web-", i), Labels: map[string]string{discoveryv1.LabelServiceName: name.Name},
				}}
				for j := range ports {
					slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: new(fmt.Sprint("p-", j)), Port: new(int32(8000 + j))})
				}
				for j := range 100 {
					slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
						Addresses: []string{fmt.Sprintf("10.0.%d.%d", i, j)}, Conditions: discoveryv1.EndpointConditions{Ready: new(ready || j > 0)},
						TargetRef: &corev1.ObjectReference{Kind: podKind, Name: fmt.Sprintf("web-7d9c5b8f6d-%d-%d", i, j)},
					})
				}
				index.PutSlice(types.NamespacedName{Namespace: name.Namespace, Name: slice.Name}, NewSlice(slice), time.Time{})
			}
			for i := range 100 {
				put(i, true)
			}
			for n := 0; b.Loop(); n++ {
				put(n%100, n%200 >= 100)
				index.Join(time.Time{}, func(string) bool { return true })
			}
		})
	}
}
