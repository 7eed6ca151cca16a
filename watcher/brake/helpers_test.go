package brake

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func east(name string) pods.ServiceKey { return in("east", name) }

func in(cluster, name string) pods.ServiceKey {
	return pods.ServiceKey{Cluster: cluster, Namespace: "default", Name: name}
}

func edge(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "edge", Name: name}
}

func every(keys ...pods.ServiceKey) []pods.Use {
	var uses []pods.Use
	for _, key := range keys {
		uses = append(uses, pods.Use{Service: key})
	}
	return uses
}

func selecting(key pods.ServiceKey, selector string) pods.Use {
	parsed, err := labels.Parse(selector)
	if err != nil {
		panic(err)
	}
	return pods.Use{Service: key, Selector: parsed}
}

// world is a Brake with the Sets that a source has handed on. Time is the test's own.
type world struct {
	*testing.T
	*Brake
	registry *prometheus.Registry
	sets     map[pods.ServiceKey]*pods.Set

	mu  sync.Mutex
	now time.Time
	// told are the calls of OnChange.
	told [][]pods.ServiceKey
}

var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newWorld(t *testing.T, settings Settings) *world {
	t.Helper()
	w := &world{T: t, registry: prometheus.NewRegistry(), sets: map[pods.ServiceKey]*pods.Set{}, now: begun}
	w.Brake = New(Config{Defaults: settings, Now: w.clock, Registerer: w.registry, OnChange: func(keys []pods.ServiceKey) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, keys)
	}})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// uses configures tunnels a, b, … of the Uses.
func (w *world) uses(lists ...[]pods.Use) {
	w.Helper()
	uses := map[types.NamespacedName][]pods.Use{}
	for i, list := range lists {
		uses[edge(string(rune('a'+i)))] = list
	}
	w.Configure(uses, nil)
}

// put hands a Set on.
func (w *world) put(key pods.ServiceKey, endpoints ...pods.Pod) {
	w.Helper()
	set := &pods.Set{Key: key, Pods: endpoints}
	slices.SortFunc(set.Pods, func(a, b pods.Pod) int {
		if order := compareNames(&a, &b); order != 0 {
			return order
		}
		return a.Address.Compare(b.Address)
	})
	w.Observe(key, w.sets[key], set)
	w.sets[key] = set
}

func (w *world) live(key pods.ServiceKey) *pods.Set { return w.sets[key] }

// taking are the names of the Pods of a Service that take traffic of a tunnel.
func (w *world) taking(tunnel string, key pods.ServiceKey) []string {
	w.Helper()
	var names []string
	for _, pod := range w.Live(edge(tunnel), w.live)(key).Pods {
		if pod.Ready {
			require.True(w, pod.Serving)
			names = append(names, pod.Name())
		}
	}
	return names
}

// held are the Pods that a tunnel holds in cluster east.
func (w *world) held(tunnel string) int {
	for _, hold := range w.Holds() {
		if hold.Tunnel == edge(tunnel) && hold.Cluster == "east" {
			return hold.Held
		}
	}
	return 0
}

// metric is the value of a metric with these labels' values, in the order of their names.
func (w *world) metric(name string, values ...string) float64 {
	w.Helper()
	families, err := w.registry.Gather()
	require.NoError(w, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var got []string
			for _, label := range metric.GetLabel() {
				got = append(got, label.GetValue())
			}
			if family.GetName() == name && slices.Equal(got, values) {
				return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func pod(i int, changes ...func(*pods.Pod)) pods.Pod {
	made := pods.Pod{
		Group: &pods.Group{Namespace: "default", Ports: []pods.Port{{Name: "http", Number: 80}}},
		UID:   pods.UIDOf(fmt.Sprintf("uid-%d", i)), Address: pods.AddressOf(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})),
		Ready: true, Serving: true,
	}
	called(&made, fmt.Sprintf("p-%03d", i))
	for _, change := range changes {
		change(&made)
	}
	return made
}

// called gives a Pod a name, and with it a Group of its own.
func called(p *pods.Pod, name string) {
	group, one := *p.Group, []pods.Pod{*p}
	one[0].Group = &group
	pods.GiveNames(one, []string{name})
	*p = one[0]
}

func notReady(p *pods.Pod) { p.Ready, p.Serving = false, false }
func leaving(p *pods.Pod)  { p.Ready, p.Terminating = false, true }
func nameless(p *pods.Pod) {
	*p = pods.Pod{Group: p.Group, Address: p.Address, Ready: p.Ready, Serving: p.Serving, Terminating: p.Terminating}
}
func reborn(p *pods.Pod) { p.UID = pods.UIDOf(p.UID.String() + "-again") }
func otherPort(p *pods.Pod) {
	group := *p.Group
	group.Ports = []pods.Port{{Name: "admin", Number: 81}}
	p.Group = &group
}

func version(v string) func(*pods.Pod) {
	return func(p *pods.Pod) {
		group := *p.Group
		group.Labels = map[string]string{"version": v}
		p.Group = &group
	}
}

// group makes Pods from to to-1.
func group(from, to int, changes ...func(*pods.Pod)) []pods.Pod {
	var made []pods.Pod
	for i := from; i < to; i++ {
		made = append(made, pod(i, changes...))
	}
	return made
}

func names(from, to int) []string {
	var list []string
	for _, pod := range group(from, to) {
		list = append(list, pod.Name())
	}
	return list
}
