package memory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var someTime = time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)

func service(namespace, name string) *pods.Service {
	return &pods.Service{
		Key:      pods.ServiceKey{Cluster: "east", Namespace: namespace, Name: name},
		Ports:    []pods.ServicePort{{Name: "http", Port: 80, Protocol: "TCP", AppProtocol: "kubernetes.io/h2c"}, {Name: "grpc", Port: 65535, Protocol: "TCP"}},
		Selector: []pods.Label{{Name: "app", Value: name}},
	}
}

func address(text string) pods.Address { return pods.AddressOf(netip.MustParseAddr(text)) }

// small is a Cluster with one of everything.
func small() *Cluster {
	ports := []pods.Port{{Name: "http", Number: 8080}, {Name: "grpc", Number: 65535}}
	labels := map[string]string{"version": "v2", "a": ""}
	external := &pods.Service{Key: pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "elsewhere"}, ExternalName: true}
	bare := &pods.Service{Key: pods.ServiceKey{Cluster: "east", Namespace: "edge", Name: "bare"}, Ports: []pods.ServicePort{}, Selector: []pods.Label{}}
	httpbin := []pods.Pod{
		{Group: &pods.Group{Namespace: "default", Ports: ports}, UID: pods.UIDOf("7b1f3c52-9f0e-4d7c-8a43-c0ffee000001"), Place: pods.PlaceOf("node-1", "a"), Address: address("10.0.0.1"), Ready: true, Serving: true},
		{Group: &pods.Group{Namespace: "default", Ports: ports, Labels: labels}, UID: pods.UIDOf("not a UUID"), Place: pods.PlaceOf("node-2", "b"), Address: address("2001:db8::1"), Serving: true, Terminating: true},
		{Group: &pods.Group{Namespace: "default", Ports: []pods.Port{}, Labels: map[string]string{}}, UID: pods.UIDOf("7B1F3C52-9F0E-4D7C-8A43-C0FFEE000001"), Address: address("::ffff:10.0.0.3")},
		{Group: &pods.Group{Namespace: "other", Ports: ports, Labels: labels}, Place: pods.PlaceOf("", "c"), Address: address("fe80::1")},
		{Group: &pods.Group{}},
	}
	pods.GiveNames(httpbin, []string{"httpbin-7d4b9c6f5-2x8kp", "httpbin-7d4b9c6f5-9w2zq", "httpbin", "", ""})
	return &Cluster{
		Name: "east", UID: "0b7f5b0e-0e7c-4b7a-9a53-3b9d3a0f2c11", Source: "sha256:5a", Saved: someTime,
		Scope:    &snapshot.Scope{Namespaces: []string{"default", "edge"}},
		Services: []*pods.Service{external, service("default", "httpbin"), bare},
		Sets: []*pods.Set{
			{Key: external.Key},
			{Key: service("default", "httpbin").Key, Pods: httpbin},
			{Key: bare.Key, Pods: []pods.Pod{}},
		},
	}
}

// large is a Cluster of a real one's size and names. seed makes other Pods.
func large(services, podsEach int, seed uint64, labels bool) *Cluster {
	random := rand.New(rand.NewPCG(seed, 1))
	c := &Cluster{Name: "east", UID: uid(random), Source: "sha256:5a", Saved: someTime, Scope: snapshot.Everything}
	for i := range services {
		s := service(fmt.Sprintf("team-%03d", i%50), fmt.Sprintf("service-%04d", i))
		group := pods.Group{Namespace: s.Key.Namespace, Ports: []pods.Port{{Name: "http", Number: 8080}, {Name: "grpc", Number: 9090}}}
		set := &pods.Set{Key: s.Key, Pods: make([]pods.Pod, podsEach)}
		hash := random.Uint64() % 1e10
		groups := [2]pods.Group{group, group}
		for i := range groups {
			if labels {
				groups[i].Labels = map[string]string{"app": s.Key.Name, "version": fmt.Sprint("v", i), "pod-template-hash": fmt.Sprint(hash)}
			}
		}
		names := make([]string, podsEach)
		for j := range set.Pods {
			names[j] = fmt.Sprintf("%s-%010d-%05x", s.Key.Name, hash, j<<16|int(random.Uint32()&0xffff))
			n := i*podsEach + j
			node := n % 200
			set.Pods[j] = pods.Pod{
				Group: &groups[0], UID: pods.UIDOf(uid(random)),
				Place:   pods.PlaceOf(fmt.Sprintf("ip-10-0-%d-%d.internal", node/100, node%100), fmt.Sprintf("zone-%d", node%3)),
				Address: pods.AddressOf(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})), Ready: true, Serving: true,
			}
			if labels {
				set.Pods[j].Group = &groups[j%2]
			}
		}
		pods.GiveNames(set.Pods, names)
		c.Services, c.Sets = append(c.Services, s), append(c.Sets, set)
	}
	byKey, sets, err := c.sorted()
	if err != nil {
		panic(err)
	}
	c.Services, c.Sets = byKey, sets
	return c
}

func uid(random *rand.Rand) string {
	a, b := random.Uint64(), random.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}

func openNew(t testing.TB) (*Store, string) {
	dir := filepath.Join(t.TempDir(), "state")
	return reopen(t, dir), dir
}

func reopen(t testing.TB, dir string) *Store {
	s, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func save(t testing.TB, s *Store, c *Cluster) {
	require.NoError(t, s.Save(c))
}

func load(t testing.TB, s *Store, name string) *Cluster {
	c, err := s.Load(name)
	require.NoError(t, err)
	return c
}

// content is what a file holds, and where it is.
func content(t testing.TB, dir, name string) []byte {
	bytes, err := os.ReadFile(filepath.Join(dir, "pods", name))
	require.NoError(t, err)
	return bytes
}

// put writes a file as anybody might.
func put(t testing.TB, dir, name string, bytes []byte) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pods", name), bytes, 0o600))
}

// names are all that is in the directory of the files.
func names(t testing.TB, dir string) []string {
	entries, err := os.ReadDir(filepath.Join(dir, "pods"))
	require.NoError(t, err)
	list := []string{}
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}
