package slices

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

var (
	httpbin    = types.NamespacedName{Namespace: "default", Name: "httpbin"}
	httpbinKey = pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "httpbin"}
	noon       = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
)

// shelf is an index with the Service httpbin, and a clock.
type shelf struct {
	*Index
	t   *testing.T
	now time.Time
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{Index: NewIndex("east"), t: t, now: noon}
	s.PutService(httpbin, Service("east", service()), s.now)
	return s
}

func (s *shelf) put(all ...*discoveryv1.EndpointSlice) {
	for _, slice := range all {
		s.PutSlice(types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name}, NewSlice(slice), s.now)
	}
}

func (s *shelf) remove(name string) {
	s.PutSlice(types.NamespacedName{Namespace: "default", Name: name}, nil, s.now)
}

func (s *shelf) join() Changes {
	return s.Join(s.now, func(string) bool { return true })
}

// names are the Pods of httpbin after a Join.
func (s *shelf) names() []string {
	s.t.Helper()
	s.join()
	var out []string
	for _, pod := range s.Sets()[httpbinKey].Pods {
		out = append(out, pod.Name())
	}
	return out
}

func TestPodThatMovesBetweenSlicesIsNeverGone(t *testing.T) {
	for _, removalFirst := range []bool{true, false} {
		s := newShelf(t)
		s.put(slice("1", pod("a", "10.0.0.1"), pod("b", "10.0.0.2")), slice("2", pod("c", "10.0.0.3")))
		require.Equal(t, []string{"a", "b", "c"}, s.names())
		steps := []*discoveryv1.EndpointSlice{slice("1", pod("a", "10.0.0.1")), slice("2", pod("b", "10.0.0.2"), pod("c", "10.0.0.3"))}
		if !removalFirst {
			steps[0], steps[1] = steps[1], steps[0]
		}
		for _, step := range steps {
			s.put(step)
			require.Equal(t, []string{"a", "b", "c"}, s.names())
		}
		s.now = s.now.Add(time.Second)
		require.Equal(t, []string{"a", "b", "c"}, s.names())
	}
}

func TestPodThatVanishesFromOneOfSeveralSlicesIsGoneInAMoment(t *testing.T) {
	s := newShelf(t)
	s.put(slice("1", pod("a", "10.0.0.1"), pod("b", "10.0.0.2")), slice("2", pod("c", "10.0.0.3")))
	s.join()
	s.put(slice("1", pod("a", "10.0.0.1")))
	changes := s.join()
	require.Equal(t, s.now.Add(moving), changes.Again)
	s.now = changes.Again
	require.Equal(t, []string{"a", "c"}, s.names())
	require.Zero(t, s.join().Again)
}

func TestPodsThatAreDeletedGoAtOnce(t *testing.T) {
	terminating := conditions(pod("b", "10.0.0.2"), no, yes, yes)
	t.Run("from one of several slices, after they were terminating", func(t *testing.T) {
		s := newShelf(t)
		s.put(slice("1", pod("a", "10.0.0.1"), terminating), slice("2", pod("c", "10.0.0.3")))
		s.join()
		s.put(slice("1", pod("a", "10.0.0.1")))
		require.Equal(t, []string{"a", "c"}, s.names())
	})
	t.Run("from the only slice", func(t *testing.T) {
		s := newShelf(t)
		s.put(slice("1", pod("a", "10.0.0.1"), pod("b", "10.0.0.2")))
		s.join()
		s.put(slice("1", pod("a", "10.0.0.1")))
		require.Equal(t, []string{"a"}, s.names())
		s.remove("1")
		require.Empty(t, s.names())
	})
}

func TestUpdateThatChangesNothingIsNoChange(t *testing.T) {
	s := newShelf(t)
	first := slice("1", pod("a", "10.0.0.1"))
	s.put(first)
	require.Len(t, s.join().Sets, 1)
	again := first.DeepCopy()
	again.ResourceVersion = "2"
	again.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: "2026-05-01T12:00:01Z"}
	s.put(again)
	s.PutService(httpbin, Service("east", service()), s.now)
	changes := s.join()
	require.Empty(t, changes.Sets)
	require.False(t, changes.Services)
	require.Equal(t, noon.Add(time.Second), s.Slice(types.NamespacedName{Namespace: "default", Name: "1"}).Changed.UTC(), "but the time counts")
}

func TestNamespacesThatAreNotJoinedWait(t *testing.T) {
	s := newShelf(t)
	s.put(slice("1", pod("a", "10.0.0.1")))
	changes := s.Join(s.now, func(string) bool { return false })
	require.Empty(t, changes.Sets)
	require.Empty(t, s.Services(func(string) bool { return false }))
	require.Len(t, s.join().Sets, 1)
}

// TestServiceThatChangesButForItsPods: a tunnel reads its ports.
func TestServiceThatChangesButForItsPods(t *testing.T) {
	s := newShelf(t)
	s.put(slice("1", pod("a", "10.0.0.1")))
	require.True(t, s.join().Services)
	changed := Service("east", service())
	changed.Ports = append(slices.Clone(changed.Ports), pods.ServicePort{Name: "admin", Port: 9000, Protocol: "TCP"})
	s.PutService(httpbin, changed, s.now)
	changes := s.join()
	require.Empty(t, changes.Sets, "the Pods are the same")
	require.True(t, changes.Services)
	require.Same(t, changed, s.Services(func(string) bool { return true })[0])
	require.False(t, s.join().Services)

	kept := *changed
	s.KeepService(&kept)
	s.remove("1")
	require.False(t, s.join().Services, "one that is equal and published is no change")
}

func TestServiceThatGoesAndComesBack(t *testing.T) {
	s := newShelf(t)
	s.put(slice("1", pod("a", "10.0.0.1")))
	s.join()
	s.PutService(httpbin, nil, s.now)
	changes := s.join()
	require.Equal(t, []pods.ServiceKey{httpbinKey}, changes.Gone)
	require.True(t, changes.Services)
	s.PutService(httpbin, Service("east", service()), s.now)
	require.Equal(t, []string{"a"}, s.names(), "its slices were there all the time")
	s.remove("1")
	s.PutService(httpbin, nil, s.now)
	s.join()
	require.True(t, s.IsEmpty())
}

func TestLabelsAreUnknownUntilAllWereSeen(t *testing.T) {
	s := newShelf(t)
	s.put(slice("1", pod("a", "10.0.0.1"), pod("b", "10.0.0.2")))
	s.join()
	s.FollowLabels("default", true)
	require.True(t, s.join().Sets[httpbinKey].Unlabeled)
	one, two := types.NamespacedName{Namespace: "default", Name: "a"}, types.NamespacedName{Namespace: "default", Name: "b"}
	s.PutLabels(one, LabelSetOf(map[string]string{"version": "v2"}))
	s.LabelsKnown("default")
	set := s.join().Sets[httpbinKey]
	require.False(t, set.Unlabeled)
	require.Equal(t, map[string]string{"version": "v2"}, set.Pods[0].Labels)
	require.Nil(t, set.Pods[1].Labels)

	s.PutLabels(two, LabelSetOf(map[string]string{"version": "v2"}))
	set = s.join().Sets[httpbinKey]
	require.Equal(t, fmt.Sprintf("%p", set.Pods[0].Labels), fmt.Sprintf("%p", set.Pods[1].Labels), "equal labels are there once")
	s.PutLabels(two, LabelSetOf(map[string]string{"version": "v2"}))
	require.Empty(t, s.join().Sets, "a Pod's update that changes no label is nobody's concern")
	s.PutLabels(one, NoLabels)
	require.Nil(t, s.join().Sets[httpbinKey].Pods[0].Labels)
	s.PutLabels(types.NamespacedName{Namespace: "elsewhere", Name: "a"}, LabelSetOf(map[string]string{"version": "v2"}))
	require.Equal(t, []types.NamespacedName{two}, s.PodNames("default"))

	s.FollowLabels("default", false)
	require.Nil(t, s.join().Sets[httpbinKey].Pods[1].Labels)
	require.Empty(t, s.pods)
	require.Empty(t, s.Index.sets)
}

// TestIndexAgreesWithOneMadeAnew plays histories, and compares with an index that sees only their ends.
func TestIndexAgreesWithOneMadeAnew(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := newShelf(t)
		s.FollowLabels("default", true)
		s.LabelsKnown("default")
		slices, labels := map[string]*discoveryv1.EndpointSlice{}, map[string]map[string]string{}
		sets := map[pods.ServiceKey]*pods.Set{}
		for range 60 {
			name := fmt.Sprint(random.IntN(3))
			switch random.IntN(4) {
			case 0:
				s.remove(name)
				delete(slices, name)
			case 1:
				podName := fmt.Sprint("p", random.IntN(5))
				labels[podName] = map[string]string{"v": fmt.Sprint(random.IntN(2))}
				s.PutLabels(types.NamespacedName{Namespace: "default", Name: podName}, LabelSetOf(labels[podName]))
			default:
				made := slice(name)
				for i := range random.IntN(5) {
					e := pod(fmt.Sprint("p", i), fmt.Sprintf("10.0.0.%d", i+1))
					made.Endpoints = append(made.Endpoints, conditions(e, ptr(random.IntN(3) > 0), nil, ptr(random.IntN(5) == 0)))
				}
				slices[name] = made
				s.put(made)
			}
			changes := s.join()
			for key, set := range changes.Sets {
				sets[key] = set
			}
		}
		s.now = s.now.Add(time.Minute)
		for key, set := range s.join().Sets {
			sets[key] = set
		}
		fresh := newShelf(t)
		fresh.FollowLabels("default", true)
		fresh.LabelsKnown("default")
		for name, value := range labels {
			fresh.PutLabels(types.NamespacedName{Namespace: "default", Name: name}, LabelSetOf(value))
		}
		for _, made := range slices {
			fresh.put(made)
		}
		fresh.join()
		require.Equal(t, lines(fresh.Sets()[httpbinKey]), lines(sets[httpbinKey]), "seed %d", seed)
		require.True(t, EqualSets(fresh.Sets()[httpbinKey], sets[httpbinKey]), "seed %d", seed)
		require.Equal(t, s.Sets()[httpbinKey], sets[httpbinKey])
	}
}

// TestPortsThatAreRenamedKeepTheirPods: the slices follow one after the other, later.
func TestPortsThatAreRenamedKeepTheirPods(t *testing.T) {
	s := newShelf(t)
	first, second := slice("1", pod("a", "10.0.0.1")), slice("2", pod("b", "10.0.0.2"))
	s.put(first, second)
	before := Service("east", service())
	before.Ports = []pods.ServicePort{{Name: *first.Ports[0].Name, Port: 80, Protocol: "TCP"}}
	s.PutService(httpbin, before, s.now)
	s.join()
	both := func(name string) (found int) {
		for _, pod := range s.Sets()[httpbinKey].Pods {
			if _, there := pod.Port(name); there {
				found++
			}
		}
		return found
	}
	former := before.Ports[0].Name
	requireBoth := func(names ...string) {
		t.Helper()
		s.join()
		for _, name := range names {
			require.Equal(t, 2, both(name), name)
		}
	}
	after := *before
	after.Ports = slices.Clone(before.Ports)
	after.Ports[0].Name = "web"
	s.PutService(httpbin, &after, s.now)
	changes := s.join()
	require.True(t, changes.Services)
	require.Equal(t, s.now.Add(renaming), changes.Again)
	requireBoth("web", former)
	first, second = first.DeepCopy(), second.DeepCopy()
	for _, follows := range []*discoveryv1.EndpointSlice{first, second} {
		for i := range follows.Ports {
			if *follows.Ports[i].Name == former {
				follows.Ports[i].Name = &after.Ports[0].Name
			}
		}
		s.now = s.now.Add(time.Second)
		s.put(follows)
		requireBoth("web", former)
	}
	s.now = s.now.Add(renaming)
	require.True(t, s.join().Again.IsZero())
	require.Equal(t, 2, both("web"))
	require.Zero(t, both(former))

	// Renamed twice in a row: the slices may still have the first name.
	again, last := after, after
	again.Ports, last.Ports = slices.Clone(after.Ports), slices.Clone(after.Ports)
	again.Ports[0].Name, last.Ports[0].Name = "second", "third"
	s.PutService(httpbin, &again, s.now)
	s.PutService(httpbin, &last, s.now)
	requireBoth("web", "third")
	s.PutService(httpbin, nil, s.now)
	s.PutService(httpbin, &last, s.now)
	s.join()
	require.Equal(t, 2, both("third"), "within the time, it is the same")
}

func TestOnlyAPortWithTheSameNumberIsRenamed(t *testing.T) {
	port := func(name string, number int32) pods.ServicePort {
		return pods.ServicePort{Name: name, Port: number, Protocol: "TCP"}
	}
	of := func(ports ...pods.ServicePort) *pods.Service { return &pods.Service{Ports: ports} }
	for name, test := range map[string]struct {
		before, after *pods.Service
		want          []rename
	}{
		"named as another is added": {of(port("", 80)), of(port("http", 80), port("more", 81)), []rename{{"", "http"}}},
		"another number":            {of(port("a", 80)), of(port("b", 81)), nil},
		"names exchanged":           {of(port("a", 80), port("b", 81)), of(port("b", 80), port("a", 81)), nil},
		"taken over":                {of(port("a", 80), port("b", 81)), of(port("b", 80)), nil},
		"new":                       {nil, of(port("a", 80)), nil},
		"gone":                      {of(port("a", 80)), nil, nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, renames(test.before, test.after)) })
	}
}
